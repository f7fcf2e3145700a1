/** Recipe of Medusa's heads: frozen target, its own answers, its own laws as labels (Medusa-1, §2.2.1). */
import { ForerunError } from "../../base/errors.ts"
import { reshape, slice, type Value } from "../../graph/index.ts"
import { createHeadRows } from "../../models/head-rows.ts"
import { answerWindows } from "../../train/answers.ts"
import { part as partOf } from "../../train/dataset.ts"
import { featureWindows, finalStates } from "../../train/features.ts"
import {
  commonHyperparameters,
  type Data,
  type Losses,
  type LossInputs,
  type Recipe,
  type RecipeContext,
  type Training,
} from "../../train/recipe.ts"
import { chooseVocabulary, coverage, placesOf } from "../../train/vocabulary.ts"
import {
  draftLogits,
  type HeadOptions,
  type HeadRows,
  headLosses,
  headOptions,
  headParameters,
  type Sizes,
  savedHeads,
  takeAnswers,
} from "./train-heads.ts"

export const recipe: Recipe = {
  method: "medusa",
  summary: "Residual heads on the last state of a frozen target.",
  options: {
    ...headOptions,
    answers: { type: "integer", default: 0, low: 0, high: 1_000_000_000, description: "answers taken; 0 = all" },
    featureSeconds: {
      type: "integer",
      default: 0,
      low: 0,
      high: 1_000_000,
      description: "time for the target's hidden states, after which what is there has to do; 0 = any",
    },
    features: { type: "string", default: "", description: "folder of hidden states that other recipes share" },
  },
  defaults: { ...commonHyperparameters, steps: 400, batch: 8, learningRate: 2e-3, decay: 0, validateEvery: 50 },
  metric: { name: "accuracy", better: "higher", expected: "first head's best guess right: 0.22 to 0.3" },
  prepare,
}

interface Options extends HeadOptions {
  readonly answers: number
  readonly featureSeconds: number
}

async function prepare(context: RecipeContext): Promise<Training> {
  const { target, threads } = context
  const options = context.options as unknown as Options
  const { config } = target
  const split = takeAnswers(context, options.answers)
  const all = [...split.validation, ...split.training] // a limit of time leaves out training answers
  const size = Math.min(options.vocabulary, config.vocabulary)
  const chosen = chooseVocabulary(split.training, { size, vocabulary: config.vocabulary })
  const share = coverage(chosen, split.validation)
  context.note(`${all.length} answers; ${size} tokens cover ${(100 * share).toFixed(1)} % of those held out`)
  const features = await finalStates(context, {
    answers: all,
    length: options.length,
    ...(options.featureSeconds === 0 ? {} : { seconds: options.featureSeconds }),
  })
  const held = split.validation.length
  const known = features.answers
  context.note(`hidden states of ${known.length} answers`)
  if (known.length <= held) throw new ForerunError("E_OPTION", "featureSeconds left no answers to train with")
  const data = labelled(
    featureWindows(features, answerWindows(known, options.length), ["final"]),
    chosen,
    config.vocabulary,
  )
  const sizes = { hidden: config.hidden, size, rows: createHeadRows(config, target.weights)(chosen) }
  const shape = { heads: options.heads, blocks: options.blocks, matrix: options.matrix }
  return {
    parameters: headParameters(shape, sizes),
    data: partOf(data, held, known.length),
    validation: partOf(data, 0, Math.min(held, mostHeld)),
    loss: (inputs) => lossOf(inputs, options, sizes),
    finish: (values) => savedHeads(values, { target, threads, shape, chosen, held, features }),
  }
}

/** Answers that a validation takes at most: more would cost time and tell little. */
const mostHeld = 128

/** Adds `places` int64 [batch, length]: each token's place in the draft vocabulary; `known`: 1 where it has one. */
function labelled(data: Data, chosen: Int32Array, vocabulary: number): Data {
  const places = placesOf(chosen, vocabulary)
  return {
    samples: data.samples,
    batch(indices, random) {
      const { tensors, tokens } = data.batch(indices, random)
      const { shape, data: ids } = tensors.tokens!
      const at = Array.from(ids as BigInt64Array, (id) => places[Number(id)]!)
      return {
        tensors: {
          final: tensors.final!,
          weight: tensors.weight!,
          places: { type: "int64", shape, data: BigInt64Array.from(at, (place) => BigInt(Math.max(0, place))) },
          known: { type: "float32", shape, data: Float32Array.from(at, (place) => (place < 0 ? 0 : 1)) },
        },
        tokens,
      }
    },
  }
}

/** Only rows whose token belongs to the answer count, and the last row of a window, whose token nobody saw, does not. */
function lossOf(inputs: LossInputs, options: Options, sizes: Sizes): Losses {
  const { batch } = inputs
  const { hidden, size } = sizes
  const final = batch("final")
  const [samples, length] = final.shape as [number, number, number]
  const logits = draftLogits(inputs, options, sizes)
  const cut = (x: Value, from: number, to: number) => slice(x, 1, from, to)
  const flat = (x: Value, width: number) => reshape(x, [-1, width])
  const teacher = reshape(logits.target(flat(final, hidden)), [samples, length, size])
  const heads = Array.from({ length: options.heads }, (_, head): HeadRows => {
    const ahead = head + 2
    const labelled = (name: string) => reshape(cut(batch(name), ahead, length), [-1])
    return {
      logits: logits.head(flat(cut(final, 0, length - ahead), hidden), head),
      teacher: flat(cut(teacher, ahead - 1, length - 1), size),
      labels: labelled("places"),
      known: labelled("known"),
      weight: labelled("weight"),
    }
  })
  return headLosses(heads, options)
}
