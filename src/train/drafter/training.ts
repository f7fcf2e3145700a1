/** What EAGLE and Falcon share in training: rows, closed-form start, loss, and what is saved. */
import { type DrafterSizes, drafterTensors } from "../../models/drafter/sizes.ts"
import type { Embed } from "../../models/embedding.ts"
import type { TensorToSave } from "../../models/trained-part.ts"
import type { Random } from "../../tensor/random.ts"
import type { Data, Training } from "../recipe.ts"
import { placesOf, vocabularyTensor } from "../vocabulary.ts"
import { drafterBatches } from "./batches.ts"
import { fitStart, type InputScales, inputScales } from "./fit-start.ts"
import { type GlancingSchedule, glancingRate } from "./glancing.ts"
import { drafterLoss, inputsOf } from "./loss.ts"
import { drafterParameters } from "./parameters.ts"

export interface DrafterTrainingOptions {
  readonly sizes: DrafterSizes
  /** Windows with tokens, weight and final features (batches.ts). */
  readonly windows: Data
  readonly validation: Data
  readonly embed: Embed
  /** Tokens that are drafted, and their rows of the target's head [vocabulary · hidden]. */
  readonly vocabulary: Int32Array
  readonly head: Float32Array
  /** Tokens of the target. */
  readonly tokens: number
  /** Rows of a batch that the loss is taken over. */
  readonly picked: number
  readonly unroll: number
  readonly featureWeight: number
  readonly glancing: GlancingSchedule
  readonly pull: number
  readonly fitRows: number
  /** Of the fusion: the closed form, or at random. */
  readonly start: "fit" | "random"
  readonly threads: number
  readonly random: Random
  note(text: string): void
}

export async function drafterTraining(options: DrafterTrainingOptions): Promise<Training> {
  const { sizes, vocabulary, head, tokens, picked, embed, glancing, random, pull, threads } = options
  const { hidden, span } = sizes
  const places = placesOf(vocabulary, tokens)
  const batches = (windows: Data) =>
    withRate(drafterBatches({ windows, hidden, span, embed, places, picked }), glancing)
  const data = batches(options.windows)
  const scales = inputScales(data, random)
  const fitOptions = { hidden, span, pull, rows: options.fitRows, threads, random }
  const start = options.start === "fit" ? await fitStart(data, scales, fitOptions) : undefined
  if (start) options.note(`closed-form start: R² ${start.explained.toFixed(3)}`)
  const { unroll, featureWeight } = options
  const loss = { sizes, head, scales, unroll, featureWeight, glances: glancing !== "off" }
  return {
    parameters: drafterParameters(sizes, start?.fit),
    data,
    ...(options.validation.samples > 0 ? { validation: batches(options.validation) } : {}),
    loss: (inputs) => drafterLoss(inputs, loss),
    finish: (values) => savedTensors(values, { sizes, vocabulary, scales }),
  }
}

/** Glancing's λ rides along with each batch of the training. Validations do not glance. */
function withRate(data: Data, glancing: GlancingSchedule): Data {
  return {
    ...data,
    batch(indices, random, progress) {
      const { tensors, tokens } = data.batch(indices, random, progress)
      const rate = progress === undefined ? 0 : glancingRate(glancing, progress)
      return { tensors: { ...tensors, rate: { type: "float32", shape: [1], data: Float32Array.of(rate) } }, tokens }
    },
  }
}

interface Saved {
  readonly sizes: DrafterSizes
  readonly vocabulary: Int32Array
  readonly scales: InputScales
}

/** The parameters, with the inputs' scales worked into the matrices that read them; vocabulary and span. */
export function savedTensors(
  values: ReadonlyMap<string, Float32Array>,
  { sizes, vocabulary, scales }: Saved,
): TensorToSave[] {
  const tensors = [...drafterTensors(sizes)].map(([name, shape]): TensorToSave => {
    const own = values.get(name)!
    const reads = inputsOf(name)
    const isToken = (i: number) => reads === "both" && i % (2 * sizes.hidden) < sizes.hidden
    const unscaled = (value: number, i: number) => value * (isToken(i) ? scales.embedded : scales.features)
    return { name, shape, values: reads ? own.map(unscaled) : own }
  })
  return [
    ...tensors,
    vocabularyTensor(vocabulary),
    { name: "span", shape: [1], values: Float32Array.of(sizes.span), type: "F32" },
  ]
}
