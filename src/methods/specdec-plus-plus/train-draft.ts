/** Recipe `draft-lm`: a small model that imitates the target's answers, to draft with. */

import { ForerunError } from "../../base/errors.ts"
import { projectionName, type SmallModelSizes, smallHeadSize, tokenRows } from "../../decoding/drafters/small-model.ts"
import { multiply } from "../../graph/index.ts"
import { createEmbed } from "../../models/embedding.ts"
import type { Checkpoint } from "../../models/files/checkpoint.ts"
import { createHeadRows } from "../../models/head-rows.ts"
import type { Random } from "../../tensor/random.ts"
import type { Answer } from "../../train/answers.ts"
import { crossEntropy, hits, mean } from "../../train/losses.ts"
import {
  commonHyperparameters,
  type Data,
  type Parameter,
  type Recipe,
  type RecipeContext,
  type Training,
} from "../../train/recipe.ts"
import { chooseVocabulary, placesOf, vocabularyTensor } from "../../train/vocabulary.ts"
import { type Window, windowsOf } from "./draft-windows.ts"
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
    promptWeight: { type: "number", default: 0.2, low: 0, high: 1, description: "weight of a prompt's tokens" },
  },
  defaults: {
    ...commonHyperparameters,
    steps: 900,
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
  const size = (name: string) => Number(options[name])
  const [layers, hidden, intermediate, kvHeads] = [
    size("layers"),
    size("hidden"),
    size("intermediate"),
    size("kvHeads"),
  ]
  if (hidden % smallHeadSize !== 0 || (hidden / smallHeadSize) % kvHeads !== 0)
    throw new ForerunError(
      "E_OPTION",
      `hidden must be a multiple of ${smallHeadSize}, and kvHeads divide its heads; found ${hidden} and ${kvHeads}`,
    )
  const sizes: SmallModelSizes = { layers, hidden, kvHeads, intermediate, vocabulary: ids.length }
  const headRows = createHeadRows(target.config, target.weights)(ids)
  const windows = { length: size("length"), promptWeight: size("promptWeight") }
  const dataOf = (answers: readonly Answer[]) => windowData(windowsOf(answers, windows), { target, ids, ...windows })
  return {
    parameters: draftParameters(sizes, target, headRows),
    data: dataOf(training),
    ...(validation.length > 0 ? { validation: dataOf(validation) } : {}),
    loss({ graph, parameter, batch }) {
      const inputs = { graph, parameter, sizes, target: target.config, headRows }
      const { logits } = smallModelLogits(batch("embedded"), inputs)
      const labels = batch("labels")
      const right = multiply(hits(logits, labels), batch("known"))
      return {
        loss: mean(crossEntropy(logits, labels), batch("weight")),
        metrics: { accuracy: mean(right, batch("counted")) },
      }
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

interface WindowContext {
  readonly target: Checkpoint
  readonly ids: Int32Array
  readonly length: number
}

/**
 * Each row predicts the next token. Tensors: `embedded` float32 [batch, length, hidden]; for each row `labels` int64
 * (place in the draft vocabulary), `weight` in the loss, `counted` (1 for an answer's token), `known` (1 where the
 * label is in the draft vocabulary), float32: all [batch · length].
 */
function windowData(windows: readonly Window[], { target, ids, length }: WindowContext): Data {
  const embed = createEmbed(target.config, target.weights)
  const places = placesOf(ids, target.config.vocabulary)
  const { hidden } = target.config
  return {
    samples: windows.length,
    batch(indices) {
      const rows = indices.length * length
      const embedded = new Float32Array(rows * hidden)
      const labels = new BigInt64Array(rows)
      const [weight, counted, known] = [new Float32Array(rows), new Float32Array(rows), new Float32Array(rows)]
      for (const [sample, index] of indices.entries()) {
        const { tokens, weight: weights } = windows[index]!
        embedded.set(tokenRows(embed, Int32Array.from(tokens)), sample * length * hidden)
        for (let i = 1; i < tokens.length; i++) {
          const row = sample * length + i - 1
          const place = places[tokens[i]!]!
          labels[row] = BigInt(Math.max(0, place))
          known[row] = place < 0 ? 0 : 1
          weight[row] = place < 0 ? 0 : weights[i]!
          counted[row] = weights[i] === 1 ? 1 : 0
        }
      }
      const floats = (data: Float32Array, shape: readonly number[] = [rows]) =>
        ({ type: "float32", shape, data }) as const
      return {
        tensors: {
          embedded: floats(embedded, [indices.length, length, hidden]),
          labels: { type: "int64", shape: [rows], data: labels },
          weight: floats(weight),
          counted: floats(counted),
          known: floats(known),
        },
        tokens: weight.reduce((sum, value) => sum + (value > 0 ? 1 : 0), 0),
      }
    },
  }
}
