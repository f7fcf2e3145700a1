/** Recipe `draft-lm`: a small model that imitates the target's answers, to draft with. */

import { ForerunError } from "../../base/errors.ts"
import { projectionName, type SmallModelSizes, smallHeadSize, tokenRows } from "../../decoding/drafters/small-model.ts"
import type { OptionValues } from "../../decoding/method.ts"
import { fusedMatmul, multiply, reshape, softmax } from "../../graph/index.ts"
import { createEmbed } from "../../models/embedding.ts"
import type { Checkpoint } from "../../models/files/checkpoint.ts"
import { createHeadRows } from "../../models/head-rows.ts"
import type { Random } from "../../tensor/random.ts"
import { type Answer, type AnswerWindows, answerWindows } from "../../train/answers.ts"
import { featureWindows, finalStates } from "../../train/features.ts"
import { crossEntropy, hits, mean, softCrossEntropy } from "../../train/losses.ts"
import {
  commonHyperparameters,
  type Data,
  type Parameter,
  type Recipe,
  type RecipeContext,
  type Training,
} from "../../train/recipe.ts"
import { chooseVocabulary, placesOf, vocabularyTensor } from "../../train/vocabulary.ts"
import { headProjection, materialisedHead, smallModelLogits, trainedShapes } from "./small-model-graph.ts"
import { answersFrom } from "./train-answers.ts"

const common = { low: 1, type: "integer" } as const

export const draftRecipe: Recipe = {
  method: "draft-lm",
  summary: "A small language model over the target's embeddings, trained on the target's own answers.",
  options: {
    layers: { ...common, default: 2, high: 8, description: "layers of the small model" },
    hidden: { ...common, default: 192, high: 1024, description: `its hidden size, a multiple of ${smallHeadSize}` },
    intermediate: { ...common, default: 512, high: 4096, description: "width inside its MLPs" },
    kvHeads: { ...common, default: 2, high: 32, description: "its key and value heads; they divide its heads" },
    vocabulary: { ...common, default: 8192, high: 1_000_000, description: "tokens that it can draft" },
    length: { ...common, default: 128, low: 8, high: 128, description: "tokens in a window" },
    labels: {
      type: "string",
      default: "soft",
      choices: ["soft", "hard"],
      description: "soft: the target's law; hard: the token of the answer",
    },
    features: { type: "string", default: "", description: "folder of hidden states that other recipes share" },
    promptWeight: { type: "number", default: 0.2, low: 0, high: 1, description: "weight of a prompt's tokens" },
  },
  defaults: {
    ...commonHyperparameters,
    steps: 600,
    batch: 16,
    learningRate: 2e-3,
    decay: 0.1,
    warmUp: 50,
    validateEvery: 100,
  },
  metric: { name: "accuracy", better: "higher", expected: "0.3 to 0.5 on answers to held-out prompts" },
  prepare: prepareDraft,
}

async function prepareDraft(context: RecipeContext): Promise<Training> {
  const { target, options } = context
  const { training, validation } = answersFrom(context)
  const { vocabulary } = target.config
  const ids = chooseVocabulary(training, { size: Math.min(Number(options.vocabulary), vocabulary), vocabulary })
  const sizes = sizesFrom(options, ids.length)
  const headRows = createHeadRows(target.config, target.weights)(ids)
  const all = [...validation, ...training] // as other recipes, to share their hidden states
  const isSoft = options.labels === "soft"
  const data = draftData(await windowsOf(all, context), {
    target,
    places: placesOf(ids, vocabulary),
    promptWeight: Number(options.promptWeight),
  })
  return {
    parameters: draftParameters(sizes, target, headRows),
    data: samplesOf(data, validation.length, all.length),
    ...(validation.length > 0 ? { validation: samplesOf(data, 0, validation.length) } : {}),
    loss({ graph, parameter, batch }) {
      const inputs = { graph, parameter, sizes, target: target.config, headRows }
      const { logits, headRows: rows } = smallModelLogits(batch("embedded"), inputs)
      const labels = batch("labels")
      const right = mean(multiply(hits(logits, labels), batch("known")), batch("counted"))
      if (!isSoft)
        return {
          loss: mean(crossEntropy(logits, labels), multiply(batch("weight"), batch("known"))),
          metrics: { accuracy: right },
        }
      const states = reshape(batch("final"), [-1, target.config.hidden])
      const teacher = softmax(fusedMatmul(states, rows, { transB: true }))
      return { loss: mean(softCrossEntropy(logits, teacher), batch("weight")), metrics: { accuracy: right } }
    },
    finish(values) {
      const kept = [...trainedShapes(sizes, target.config)].filter(([name]) => name !== headProjection)
      return [
        ...kept.map(([name, shape]) => ({ name, shape, values: values.get(name)! })),
        materialisedHead(headRows, values.get(headProjection)!, sizes),
        vocabularyTensor(ids),
      ]
    },
  }
}

function sizesFrom(options: OptionValues, vocabulary: number): SmallModelSizes {
  const size = (name: string) => Number(options[name])
  const sizes = {
    layers: size("layers"),
    hidden: size("hidden"),
    kvHeads: size("kvHeads"),
    intermediate: size("intermediate"),
    vocabulary,
  }
  const { hidden, kvHeads } = sizes
  if (hidden % smallHeadSize === 0 && (hidden / smallHeadSize) % kvHeads === 0) return sizes
  throw new ForerunError(
    "E_OPTION",
    `hidden must be a multiple of ${smallHeadSize}, and kvHeads divide its heads; found ${hidden} and ${kvHeads}`,
  )
}

/** The end of each answer, with the target's final states where its laws are the labels. */
async function windowsOf(answers: readonly Answer[], context: RecipeContext): Promise<AnswerWindows> {
  const { options } = context
  const length = Number(options.length)
  const windows = answerWindows(answers, length)
  if (options.labels !== "soft") return windows
  const features = await finalStates(context, { answers, length })
  return { ...featureWindows(features, windows, ["final"]), length }
}

function draftParameters(sizes: SmallModelSizes, target: Checkpoint, headRows: Float32Array): Parameter[] {
  // Rows of the tables differ in size from model to model; the small model begins with rows of size 1.
  const size = Math.sqrt(headRows.reduce((sum, value) => sum + value * value, 0) / headRows.length)
  const gaussians = (shape: readonly number[], spread: number) => (random: Random) =>
    Float32Array.from({ length: shape.reduce((n, dim) => n * dim, 1) }, () => spread * gaussian(random))
  return [...trainedShapes(sizes, target.config)].map(([name, shape]) => {
    if (shape.length === 1) return { name, shape, initial: () => new Float32Array(shape[0]!).fill(1) }
    const intoStream = /(o_proj|down_proj)\.weight$/.test(name) ? 1 / Math.sqrt(2 * sizes.layers) : 1
    const scale = name === projectionName ? 1 / size : intoStream
    return { name, shape, initial: gaussians(shape, scale / Math.sqrt(shape.at(-1)!)) }
  })
}

const gaussian = (random: Random): number =>
  Math.sqrt(-2 * Math.log(1 - random.next())) * Math.cos(2 * Math.PI * random.next())

interface DraftDataContext {
  readonly target: Checkpoint
  /** Of each token in the draft vocabulary; -1: it is not there. */
  readonly places: Int32Array
  readonly promptWeight: number
}

/**
 * Windows with what a small model needs: each row predicts the next token. `embedded` float32 [batch, length, hidden];
 * for each row `labels` int64 (place in the draft vocabulary), `weight` in the loss, `counted` (1 before an answer's
 * token), `known` (1 where the label has a place), float32: all [batch · length].
 */
function draftData(windows: AnswerWindows, { target, places, promptWeight }: DraftDataContext): Data {
  const embed = createEmbed(target.config, target.weights)
  const { length } = windows
  return {
    samples: windows.samples,
    batch(indices, random) {
      const { tensors, tokens: learned } = windows.batch(indices, random)
      const { tokens, weight: isAnswer, ...rest } = tensors
      const ids = Int32Array.from(tokens!.data as BigInt64Array, Number)
      const rows = ids.length
      const labels = new BigInt64Array(rows)
      const [weight, counted, known] = [new Float32Array(rows), new Float32Array(rows), new Float32Array(rows)]
      for (let row = 0; row < rows; row++) {
        if (row % length === length - 1) continue
        const place = places[ids[row + 1]!]!
        labels[row] = BigInt(Math.max(0, place))
        known[row] = place < 0 ? 0 : 1
        counted[row] = Number(isAnswer!.data[row + 1])
        weight[row] = counted[row] === 1 ? 1 : beforeAnswer(isAnswer!.data, row, length) ? promptWeight : 0
      }
      const floats = (data: Float32Array, shape: readonly number[] = [rows]) =>
        ({ type: "float32", shape, data }) as const
      return {
        tensors: {
          ...rest,
          embedded: floats(tokenRows(embed, ids), [indices.length, length, target.config.hidden]),
          labels: { type: "int64", shape: [rows], data: labels },
          weight: floats(weight),
          counted: floats(counted),
          known: floats(known),
        },
        tokens: learned,
      }
    },
  }
}

/** Whether a row is the prompt's: the answer is still to come in its window. Rows behind the answer are padding. */
function beforeAnswer(isAnswer: ArrayLike<unknown>, row: number, length: number): boolean {
  const end = (Math.floor(row / length) + 1) * length
  for (let at = row + 1; at < end; at++) if (Number(isAnswer[at]) === 1) return true
  return false
}

const samplesOf = (data: Data, from: number, to: number): Data => ({
  samples: to - from,
  batch: (indices, random) =>
    data.batch(
      indices.map((index) => index + from),
      random,
    ),
})
