/** What the recipes of feature drafters share: their options, and the way from answers to a training. */
import type { OptionTable } from "../../decoding/method.ts"
import { drafterSizes, type Fusion } from "../../models/drafter/sizes.ts"
import { createEmbed } from "../../models/embedding.ts"
import { createHeadRows } from "../../models/head-rows.ts"
import { type Answer, answerWindows, readAnswers } from "../answers.ts"
import { computeFeatures, featureWindows } from "../features.ts"
import { commonHyperparameters, type Hyperparameters, type RecipeContext, type Training } from "../recipe.ts"
import { chooseVocabulary, coverage } from "../vocabulary.ts"
import { rowsInWindow, windowOf } from "./batches.ts"
import type { GlancingSchedule } from "./glancing.ts"
import { drafterTraining } from "./training.ts"

export const drafterOptions = {
  length: { type: "integer", default: 160, low: 8, high: 2048, description: "tokens of an answer's window, its last" },
  vocabulary: { type: "integer", default: 8192, low: 2, description: "tokens that can be drafted" },
  intermediate: {
    type: "integer",
    default: 0,
    low: 0,
    high: 65536,
    description: "width of the layer's feed-forward part; 0 = the target's",
  },
  unroll: {
    type: "integer",
    default: 2,
    low: 1,
    high: 7,
    description: "passes, of which all but the first read the drafter's own predictions",
  },
  picked: { type: "integer", default: 640, low: 1, high: 65536, description: "rows of a batch with a loss" },
  featureWeight: {
    type: "number",
    default: 0.1,
    low: 0,
    high: 100,
    description: "weight of the features' distance beside the laws' cross-entropy",
  },
  fitRows: { type: "integer", default: 40_000, low: 1, description: "rows that the closed-form start is fitted to" },
  pull: { type: "number", default: 1e-4, low: 0, high: 1, description: "pull to zero of that fit" },
} as const satisfies OptionTable

export const drafterDefaults: Hyperparameters = {
  ...commonHyperparameters,
  steps: 600,
  batch: 8,
  learningRate: 1e-3,
  validateEvery: 100,
}

export interface DrafterKind {
  readonly span: number
  readonly fusion: Fusion
  readonly glancing: GlancingSchedule
}

type Values = { readonly [Name in keyof typeof drafterOptions]: number }

/** @throws E_USAGE without answers; E_OPTION, E_IO, E_INPUT */
export async function prepareDrafter(
  context: RecipeContext,
  { span, fusion, glancing }: DrafterKind,
): Promise<Training> {
  const { target, data, folder, threads, signal, note, random } = context
  const { config, weights } = target
  const options = context.options as unknown as Values
  const length = windowOf(rowsInWindow(options.length, span), span)
  const split = readAnswers(data, { vocabulary: config.vocabulary })
  const size = Math.min(options.vocabulary, config.vocabulary)
  const vocabulary = chooseVocabulary(split.training, { size, vocabulary: config.vocabulary })
  const share = (answers: readonly Answer[]) => `${(100 * coverage(vocabulary, answers)).toFixed(1)} %`
  note(
    `${split.training.length} answers, ${split.validation.length} held out; ${share(split.validation)} can be drafted`,
  )
  const windows = async (answers: readonly Answer[]) => {
    const onProgress = (done: number, total: number) => note(`hidden states: ${done} of ${total} pieces`)
    const request = { target, answers, layers: ["final"], folder, length, threads, signal, onProgress } as const
    return featureWindows(await computeFeatures(request), answerWindows(answers, length), ["final"])
  }
  const intermediate = options.intermediate || config.intermediate
  return drafterTraining({
    ...options,
    sizes: drafterSizes(config, { span, fusion, intermediate }),
    windows: await windows(split.training),
    validation: await windows(split.validation),
    embed: createEmbed(config, weights),
    vocabulary,
    head: createHeadRows(config, weights)(vocabulary),
    tokens: config.vocabulary,
    glancing,
    threads,
    random,
    note,
  })
}
