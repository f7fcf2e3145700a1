/** Recipe `medusa-2`: heads and a low-rank change of their target, trained together (Medusa-2, §2.2.2). */
import { join, resolve } from "node:path"
import { ForerunError } from "../../base/errors.ts"
import { draftVocabulary, partTensor } from "../../decoding/method-part.ts"
import { withAdapter } from "../../models/adapter.ts"
import { createHeadRows } from "../../models/head-rows.ts"
import { openPartFolder, type PartTensor, writePart } from "../../models/trained-part.ts"
import { contentHash } from "../../runtime/load-runner.ts"
import { type Answer, answerWindows } from "../../train/answers.ts"
import { computeFeatures } from "../../train/features.ts"
import { changesOf, drawn } from "../../train/low-rank.ts"
import {
  commonHyperparameters,
  type Parameter,
  type Recipe,
  type RecipeContext,
  type Training,
  type WrittenPart,
} from "../../train/recipe.ts"
import { chooseVocabulary, coverage, placesOf } from "../../train/vocabulary.ts"
import type { HeadShape } from "./heads-graph.ts"
import { recipe as frozenRecipe } from "./train.ts"
import { type HeadOptions, headOptions, headParameters, savedHeads, takeAnswers } from "./train-heads.ts"
import { jointBatches, jointLoss } from "./train-joint-loss.ts"

export const jointRecipe: Recipe = {
  method: "medusa-2",
  summary: "Residual heads, and a low-rank change of their target that makes its states easier to read ahead from.",
  options: {
    ...headOptions,
    from: { type: "string", default: "", description: "heads to go on from, of the recipe medusa; default: untrained" },
    rank: { type: "integer", default: 8, low: 1, high: 256, description: "rank of the change of each matrix" },
    headsWeight: {
      type: "number",
      default: 0.2,
      low: 0,
      high: 10,
      description: "weight of the heads' losses (λ₀) beside the target's distance from what it was",
    },
    course: {
      type: "string",
      default: "constant",
      choices: ["constant", "sine"],
      description: "sine: that weight rises over the training from 0; for heads that begin untrained",
    },
    headsRate: {
      type: "number",
      default: 4,
      low: 0,
      high: 100,
      description: "the heads' learning rate by the change's",
    },
    picked: { type: "integer", default: 128, low: 1, high: 65536, description: "rows of a batch with a loss" },
  },
  defaults: { ...commonHyperparameters, steps: 150, batch: 2, learningRate: 5e-4, decay: 0, validateEvery: 50 },
  metric: { name: "loss", better: "lower", expected: "accuracy above that of the heads on the frozen target" },
  prepare,
}

interface Options extends HeadOptions {
  readonly from: string
  readonly rank: number
  readonly headsWeight: number
  readonly course: string
  readonly headsRate: number
  readonly picked: number
}

async function prepare(context: RecipeContext): Promise<Training> {
  const { target, note } = context
  const options = context.options as unknown as Options
  const { config, weights } = target
  const { training, validation } = takeAnswers(context)
  const before = options.from === "" ? undefined : await headsFrom(context, resolve(options.from))
  const size = Math.min(options.vocabulary, config.vocabulary)
  const known = before && draftVocabulary({ tensors: before, target })
  const chosen = known ?? chooseVocabulary(training, { size, vocabulary: config.vocabulary })
  const share = (100 * coverage(chosen, validation)).toFixed(1)
  note(`${training.length} answers; ${chosen.length} tokens cover ${share} % of the ${validation.length} held out`)
  const shape = { heads: options.heads, blocks: options.blocks, matrix: options.matrix }
  const sizes = { hidden: config.hidden, size: chosen.length, rows: createHeadRows(config, weights)(chosen) }
  const heads = headParameters(shape, sizes).map(
    ({ initial, ...head }): Parameter => ({
      ...head,
      rate: options.headsRate,
      initial: (random) => (before ? partTensor({ tensors: before }, head.name, head.shape).values : initial(random)),
    }),
  )
  const changes = changesOf(weights.tensors, config.layers, { rank: options.rank, layers: 0 })
  const changed = changes.map((change): Parameter => ({ ...change, initial: (random) => drawn(change, random) }))
  const batches = (answers: readonly Answer[]) =>
    jointBatches(answerWindows(answers, options.length), { ...options, places: placesOf(chosen, config.vocabulary) })
  return {
    parameters: [...changed, ...heads],
    data: batches(training),
    validation: batches(validation.slice(0, mostValidated)),
    loss: (inputs) => jointLoss(inputs, { target, options, sizes, changes }),
    finish: (values) => changes.map(({ name, shape }) => ({ name, shape, values: values.get(name)! })),
    written: (values, part) => writeHeads(values, part, { context, shape, chosen, held: validation }),
  }
}

/** Answers that a validation takes, and the calibration: each is a pass of the target. */
const [mostValidated, mostCalibrated] = [32, 64]

/** @throws E_OPTION when they are of another recipe; E_DRAFT when they were trained for another target */
async function headsFrom({ target }: RecipeContext, folder: string): Promise<ReadonlyMap<string, PartTensor>> {
  const { record, tensors } = await openPartFolder(folder)
  if (record.method !== frozenRecipe.method)
    throw new ForerunError(
      "E_OPTION",
      `from: weights of ${frozenRecipe.method} are needed, ${folder} is of ${record.method}`,
    )
  if (record.target.sha256 === (await contentHash(target))) return tensors
  throw new ForerunError("E_DRAFT", `from: the heads in ${folder} were trained for another target`)
}

interface HeadsToWrite {
  readonly context: RecipeContext
  readonly shape: HeadShape
  readonly chosen: Int32Array
  readonly held: readonly Answer[]
}

/** In the adapter's folder, as a part of the recipe medusa for the target that the adapter makes. */
async function writeHeads(
  values: ReadonlyMap<string, Float32Array>,
  { folder, record }: WrittenPart,
  { context, shape, chosen, held }: HeadsToWrite,
): Promise<void> {
  const { target, threads, signal, note } = context
  const adapted = await withAdapter(target, folder)
  const answers = held.slice(0, mostCalibrated)
  // Whoever interrupts does not wait for the changed target to read answers.
  const features = signal.aborted
    ? {}
    : {
        features: await computeFeatures({
          target: adapted,
          answers,
          layers: ["final"],
          folder: join(context.folder, "features"),
          length: Number(context.options.length),
          threads,
        }),
      }
  const saving = { target: adapted, threads, shape, chosen, held: answers.length, ...features }
  const heads = join(folder, frozenRecipe.method)
  await writePart(heads, await savedHeads(values, saving), {
    ...record,
    method: frozenRecipe.method,
    target: {
      sha256: await contentHash(adapted),
      name: `${target.name ?? target.path} as ${record.method} changed it: --adapter ${folder}`,
    },
  })
  note(`heads ${heads}`)
}
