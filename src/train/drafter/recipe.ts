/** What the recipes of feature drafters share: their options, and the way from answers to a training. */
import { ForerunError } from "../../base/errors.ts"
import type { OptionTable } from "../../decoding/method.ts"
import { drafterSizes, type Fusion } from "../../models/drafter/sizes.ts"
import { createEmbed } from "../../models/embedding.ts"
import { createHeadRows } from "../../models/head-rows.ts"
import { type Answer, answerWindows, readAnswers } from "../answers.ts"
import { part } from "../dataset.ts"
import { featureWindows, finalStates } from "../features.ts"
import { commonHyperparameters, type Data, type Hyperparameters, type RecipeContext, type Training } from "../recipe.ts"
import { chooseVocabulary, coverage } from "../vocabulary.ts"
import type { GlancingSchedule } from "./glancing.ts"
import { drafterTraining } from "./training.ts"

export const drafterOptions = {
  length: { type: "integer", default: 128, low: 8, high: 2048, description: "tokens of an answer's window, its last" },
  vocabulary: { type: "integer", default: 8192, low: 2, description: "tokens that can be drafted" },
  intermediate: {
    type: "integer",
    default: 0,
    low: 0,
    high: 65536,
    description: "width of the layer's feed-forward part; 0 = the target's, half of it beside gates",
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
  start: {
    type: "string",
    default: "fit",
    choices: ["fit", "random"],
    description: "of the fusion: a closed form, or at random, to compare fusions from equal starts",
  },
  fitRows: { type: "integer", default: 40_000, low: 1, description: "rows that the closed-form start is fitted to" },
  features: { type: "string", default: "", description: "folder of hidden states that other recipes share" },
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
  readonly layers?: number
  readonly glancing: GlancingSchedule
}

interface Options {
  readonly length: number
  readonly vocabulary: number
  readonly intermediate: number
  readonly unroll: number
  readonly picked: number
  readonly featureWeight: number
  readonly fitRows: number
  readonly start: "fit" | "random"
  readonly pull: number
}

/** @throws E_USAGE without answers; E_INPUT when none can be held out; E_OPTION, E_IO */
export async function prepareDrafter(context: RecipeContext, kind: DrafterKind): Promise<Training> {
  const { target, data, threads, note, random } = context
  const { config, weights } = target
  const options = context.options as unknown as Options
  if (data.length === 0) throw new ForerunError("E_USAGE", "give answers of the target: --data <file or folder>")
  const split = readAnswers(data, { vocabulary: config.vocabulary })
  if (split.training.length === 0 || split.validation.length === 0)
    throw new ForerunError("E_INPUT", "too few answers: some are needed to train with, and some held out")
  const size = Math.min(options.vocabulary, config.vocabulary)
  const vocabulary = chooseVocabulary(split.training, { size, vocabulary: config.vocabulary })
  const share = (100 * coverage(vocabulary, split.validation)).toFixed(1)
  note(`${split.training.length} answers; ${size} tokens cover ${share} % of the ${split.validation.length} held out`)
  const windows = await windowsOf([...split.validation, ...split.training], context, options.length)
  const cut = split.validation.length
  // Gates take half as many weights again: with a whole feed-forward part they would be more than 12 MB.
  const usual = kind.fusion === "gate" ? Math.ceil(config.intermediate / 2) : config.intermediate
  const intermediate = options.intermediate || usual
  return drafterTraining({
    ...options,
    sizes: drafterSizes(config, { ...kind, intermediate }),
    windows: part(windows, cut, windows.samples),
    validation: part(windows, 0, cut),
    embed: createEmbed(config, weights),
    vocabulary,
    head: createHeadRows(config, weights)(vocabulary),
    tokens: config.vocabulary,
    glancing: kind.glancing,
    threads,
    random,
    note,
  })
}

/** Windows of the answers with the target's final states. */
export async function windowsOf(answers: readonly Answer[], context: RecipeContext, length: number): Promise<Data> {
  const features = await finalStates(context, { answers, length })
  return featureWindows(features, answerWindows(answers, length), ["final"])
}
