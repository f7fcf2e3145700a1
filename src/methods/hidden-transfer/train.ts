/** Trains the maps: pseudo rows of many anchors go through the frozen later layers beside the rows of whole answers. */
import { ForerunError } from "../../base/errors.ts"
import type { OptionValues } from "../../decoding/method.ts"
import { multiply, reshape, slice, type Value } from "../../graph/index.ts"
import type { Random } from "../../tensor/random.ts"
import { type Answer, readAnswers } from "../../train/answers.ts"
import { shuffled } from "../../train/dataset.ts"
import { hits, mean, softCrossEntropy } from "../../train/losses.ts"
import {
  type BatchTensor,
  commonHyperparameters,
  type Data,
  type Losses,
  type LossInputs,
  type Recipe,
  type RecipeContext,
  type Training,
} from "../../train/recipe.ts"
import { chooseVocabulary, vocabularyTensor } from "../../train/vocabulary.ts"
import { savedMaps, startingMaps } from "./maps.ts"
import { channelScales, measureMoments } from "./moments.ts"
import { maskOfPack, type Pack, packSequences, rowsOfPack, samplePseudoRows } from "./packs.ts"
import { transferStops } from "./pseudo-rows.ts"
import { type Shape, type TransferGraphParts, transferGraph } from "./transfer-graph.ts"

export const recipe: Recipe = {
  method: "hidden-transfer",
  summary: "Maps from a middle layer's state to states of the tokens to come, through the frozen later layers.",
  options: {
    layers: {
      type: "string",
      default: "20,20,20",
      description: "for each step, the layers that run before its pseudo rows begin: ascending, with commas",
    },
    start: {
      type: "string",
      default: "ridge",
      choices: ["ridge", "identity"],
      description: "first maps: the least squares of states so many places on, or the state itself (the paper's text)",
    },
    measured: {
      type: "integer",
      default: 100,
      low: 1,
      high: 5000,
      description: "samples the first maps are fitted on",
    },
    penalty: { type: "number", default: 0.03, low: 1e-6, high: 10, description: "what pulls fitted maps to the mean" },
    length: { type: "integer", default: 256, low: 32, high: 1024, description: "rows of a sample: whole answers" },
    anchors: {
      type: "integer",
      default: 128,
      low: 1,
      high: 1024,
      description: "rows of a sample that get pseudo rows",
    },
    vocabulary: { type: "integer", default: 8192, low: 16, high: 1 << 20, description: "tokens that are drafted" },
    validation: { type: "number", default: 0.05, low: 0.001, high: 0.5, description: "share of prompts held out" },
  },
  defaults: { ...commonHyperparameters, steps: 300, batch: 1, accumulate: 2, learningRate: 1e-3, validateEvery: 100 },
  metric: { name: "loss", better: "lower", expected: "2.2 to 2.5 nats over three steps (SmolLM2, layer 20)" },
  prepare,
}

/** Samples of a validation: 1,500 anchors, a tenth of what a hundred steps cost. */
const mostValidated = 12

async function prepare(context: RecipeContext): Promise<Training> {
  const { target, options, data, random, note } = context
  const { config } = target
  if (data.length === 0)
    throw new ForerunError("E_USAGE", "give answers of the target: --data <answers.jsonl>", {
      hint: "forerun distil makes them",
    })
  const layers = layersOf(options, config.layers)
  const stops = transferStops(layers, config.layers)
  const shape = { stops, steps: layers.length, length: Number(options.length), anchors: Number(options.anchors) }
  const split = readAnswers(data, { validation: Number(options.validation), vocabulary: config.vocabulary })
  const packs = (answers: readonly Answer[], label: string) => packedAnswers(answers, shape.length, random.fork(label))
  const training = packs(split.training, "training")
  const validation = packs(split.validation, "validation").slice(0, mostValidated)
  if (training.length === 0) throw new ForerunError("E_INPUT", `no answer of these files fits ${shape.length} rows`)
  const vocabulary = chooseVocabulary(split.training, {
    size: Math.min(Number(options.vocabulary), config.vocabulary),
    vocabulary: config.vocabulary,
  })
  const measured = training.slice(0, Number(options.measured))
  note(`${training.length} samples of ${shape.length} tokens; the first maps are fitted on ${measured.length}`)
  const moments = await measureMoments(measured, { target, ...shape, threads: context.threads, signal: context.signal })
  const scales = moments.map((one) => channelScales(one, config.hidden))
  const penalty = options.start === "ridge" ? Number(options.penalty) : undefined
  const start = startingMaps(stops, { moments, scales, penalty })
  const { hidden } = config
  return {
    parameters: [...start].map(([name, values]) => ({
      name,
      shape: values.length === hidden ? [hidden] : [hidden, hidden],
      initial: () => values,
    })),
    data: packData(training, vocabulary, shape),
    ...(validation.length > 0 ? { validation: packData(validation, vocabulary, shape) } : {}),
    loss: (inputs) => lossOf(inputs, { target, scales, vocabulary, shape }),
    finish: (values) => [...savedMaps(values, { layers, stops, scales }), vocabularyTensor(vocabulary)],
  }
}

/** @throws E_OPTION */
function layersOf(options: OptionValues, depth: number): number[] {
  const layers = String(options.layers).split(",").map(Number)
  const fits = (layer: number, i: number) => Number.isInteger(layer) && layer >= (layers[i - 1] ?? 1) && layer < depth
  if (layers.every(fits)) return layers
  throw new ForerunError("E_OPTION", `layers ${options.layers}: needs ascending numbers from 1 to ${depth - 1}`)
}

function packedAnswers(answers: readonly Answer[], length: number, random: Random): Pack[] {
  const order = shuffled(answers.length, random)
  const sequences = Array.from(order, (index) => {
    const { prompt, answer } = answers[index]!
    return { tokens: [...prompt, ...answer], answerFrom: prompt.length }
  })
  return packSequences(sequences, length)
}

/** Packs as batches; anchors are drawn anew each time. */
export function packData(packs: readonly Pack[], vocabulary: Int32Array, { length, anchors, steps }: Shape): Data {
  const place = new Map(Array.from(vocabulary, (id, i) => [id, i]))
  return {
    samples: packs.length,
    batch(indices, random) {
      const rows = indices.map((index) => rowsOfPack(packs[index]!, length))
      const pseudo = rows.map((row) => samplePseudoRows(row, { count: anchors, steps }, random))
      const batch = indices.length
      const height = steps * anchors
      const joined = (lists: readonly Int32Array[], offset = 0) =>
        BigInt64Array.from(lists.flatMap((list, i) => Array.from(list, (value) => BigInt(value + i * offset))))
      const floats = (lists: readonly Float32Array[]) => Float32Array.from(lists.flatMap((list) => Array.from(list)))
      const integer = (shape: number[], data: BigInt64Array): BatchTensor => ({ type: "int64", shape, data })
      const float = (shape: number[], data: Float32Array): BatchTensor => ({ type: "float32", shape, data })
      const labels = pseudo.map((one) => one.labels.map((id) => place.get(id) ?? 0))
      const drafted = pseudo.map((one) => Float32Array.from(one.labels, (id) => (place.has(id) ? 1 : 0)))
      const weights = floats(pseudo.map((one) => one.weights))
      return {
        tensors: {
          tokens: integer([batch, length], joined(rows.map((row) => row.tokens))),
          positions: integer([batch, length], joined(rows.map((row) => row.positions))),
          mask: float([batch, length, length], floats(rows.map(maskOfPack))),
          anchors: integer(
            [batch * anchors],
            joined(
              pseudo.map((one) => one.anchors),
              length,
            ),
          ),
          pseudoPositions: integer([batch, height], joined(pseudo.map((one) => one.positions))),
          pseudoMask: float([batch, height, length + height], floats(pseudo.map((one) => one.mask))),
          teachers: integer(
            [batch * height],
            joined(
              pseudo.map((one) => one.teachers),
              length,
            ),
          ),
          labels: integer([batch * height], joined(labels)),
          drafted: float([batch * height], floats(drafted)),
          weights: float([batch * height], weights),
        },
        tokens: weights.reduce((sum, weight) => sum + weight, 0),
      }
    },
  }
}

function lossOf(inputs: LossInputs, parts: TransferGraphParts): Losses {
  const { batch } = inputs
  const { steps, anchors } = parts.shape
  const { logits, teacher } = transferGraph(inputs, parts)
  const weights = batch("weights")
  const hit = multiply(hits(logits, batch("labels")), batch("drafted"))
  const size = batch("tokens").shape[0] as number
  const ofStep = (value: Value, step: number) =>
    slice(reshape(value, [size, steps * anchors]), 1, (step - 1) * anchors, step * anchors)
  const accuracies = Array.from({ length: steps }, (_, i) => [
    `accuracy${i + 1}`,
    mean(ofStep(hit, i + 1), ofStep(weights, i + 1)),
  ])
  return { loss: mean(softCrossEntropy(logits, teacher), weights), metrics: Object.fromEntries(accuracies) }
}
