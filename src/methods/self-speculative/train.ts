/** The LayerSkip recipe: a low-rank change of the target, so that its early exits say what its last layer says. */
import { ForerunError } from "../../base/errors.ts"
import {
  add,
  concat,
  divide,
  fusedMatmul,
  gather,
  maximum,
  multiply,
  reduceSum,
  reshape,
  slice,
  subtract,
  topK,
  type Value,
} from "../../graph/index.ts"
import { adapterNames } from "../../models/adapter.ts"
import { createHeadRows } from "../../models/head-rows.ts"
import { trainingView } from "../../models/training/view.ts"
import type { Adapt } from "../../models/training/weights.ts"
import type { WeightSource } from "../../models/weights.ts"
import type { Random } from "../../tensor/random.ts"
import { readAnswers, shown } from "../../train/answers.ts"
import { part } from "../../train/dataset.ts"
import { windowsOf } from "../../train/drafter/recipe.ts"
import { divergence, hits, mean } from "../../train/losses.ts"
import {
  type Batch,
  commonHyperparameters,
  type Data,
  type Losses,
  type LossInputs,
  type Parameter,
  type Recipe,
  type RecipeContext,
  type Training,
} from "../../train/recipe.ts"
import { chooseVocabulary } from "../../train/vocabulary.ts"
import { dropRate, exitWeight, rotatedExits } from "./exit-weights.ts"

export const recipe: Recipe = {
  method: "layerskip",
  summary: "A low-rank change of the target that lets its early exits draft: layer dropout and a loss at every exit.",
  options: {
    length: {
      type: "integer",
      default: 256,
      low: 8,
      high: 2048,
      description: "tokens of an answer's window, its last",
    },
    rank: { type: "integer", default: 8, low: 1, high: 256, description: "rank of the change of each matrix" },
    rotation: { type: "integer", default: 8, low: 1, high: 64, description: "every so many exits count in a step" },
    keep: {
      type: "number",
      default: 40,
      low: 0,
      high: 1000,
      description: "weight of the last layer staying as it is, beside all exits together (the paper: 1.2)",
    },
    dropout: {
      type: "number",
      default: 0.1,
      low: 0,
      high: 0.9,
      description: "chance that one of a batch's two halves skips the last layer",
    },
    vocabulary: {
      type: "integer",
      default: 8192,
      low: 2,
      description: "tokens that the laws of exits are compared over",
    },
    features: { type: "string", default: "", description: "folder of hidden states that other recipes share" },
    picked: { type: "integer", default: 128, low: 1, high: 65536, description: "rows of a batch with a loss" },
  },
  defaults: { ...commonHyperparameters, steps: 300, batch: 2, learningRate: 5e-4, decay: 0, validateEvery: 75 },
  metric: { name: "loss", better: "lower", expected: "falling, with a drift of the last layer below 0.05" },
  prepare,
}

interface Values {
  readonly length: number
  readonly rank: number
  readonly rotation: number
  readonly keep: number
  readonly dropout: number
  readonly vocabulary: number
  readonly features: string
  readonly picked: number
}

async function prepare(context: RecipeContext): Promise<Training> {
  const { target, data, note } = context
  const { config, weights } = target
  const options = context.options as unknown as Values
  if (data.length === 0) throw new ForerunError("E_USAGE", "give answers of the target: --data <file or folder>")
  const { training, validation } = readAnswers(data, { vocabulary: config.vocabulary })
  if (training.length === 0 || validation.length === 0)
    throw new ForerunError("E_INPUT", "too few answers: some are needed to train with, and some held out")
  const size = Math.min(options.vocabulary, config.vocabulary)
  const vocabulary = chooseVocabulary(training, { size, vocabulary: config.vocabulary })
  note(`${training.length} answers, ${validation.length} held out`)
  // The teacher reads what the changed model reads, or the last layer would learn to guess what it cannot see.
  const answers = [...validation, ...training].map((answer) => shown(answer, options.length))
  const windows = await windowsOf(answers, context, options.length)
  const batches = (from: number, to: number) =>
    exitBatches(part(windows, from, to), { ...options, layers: config.layers })
  return {
    parameters: lowRank(weights, options.rank),
    data: batches(validation.length, windows.samples),
    validation: batches(0, validation.length),
    loss: (inputs) =>
      exitLoss(inputs, { target, keep: options.keep, head: createHeadRows(config, weights)(vocabulary) }),
  }
}

/** The layers' matrices. */
const isChanged = (name: string): boolean => /\.(q|k|v|o|gate|up|down)_proj\.weight$/.test(name)

/** An adapter's products, for each matrix; they start at 0, so training starts with the target as it is. */
function lowRank({ tensors }: WeightSource, rank: number): Parameter[] {
  return [...tensors.values()]
    .filter(({ name }) => isChanged(name))
    .flatMap(({ name, shape }): Parameter[] => {
      const [out, width] = shape as [number, number]
      const initial = (random: Random) =>
        Float32Array.from({ length: rank * width }, () => (2 * random.next() - 1) * Math.sqrt(3 / width))
      return [
        { name: adapterNames.down(name), shape: [rank, width], initial },
        { name: adapterNames.up(name), shape: [out, rank], initial: () => new Float32Array(out * rank) },
      ]
    })
}

interface BatchOptions extends Pick<Values, "rotation" | "dropout" | "picked"> {
  readonly layers: number
}

/**
 * To windows with tokens, weight and final: `stays` [layers, batch · length], 0 where a sample skips a layer; `exits`
 * int64 [exits] and `shares` [exits], which exits count now and how much; `picked` int64 [picked], rows whose next token
 * belongs to the answer, and `counts` [picked]; `held` and `holds`, the same for any rows of samples that skipped no
 * layer: there the last layer is held to what it said.
 */
function exitBatches(windows: Data, { layers, rotation, dropout, picked }: BatchOptions): Data {
  return {
    samples: windows.samples,
    batch(indices, random, progress): Batch {
      const { tensors, tokens } = windows.batch(indices, random.fork("windows"), progress)
      const [samples, length] = tensors.tokens!.shape as [number, number]
      const [drops, order] = [random.fork("drop"), random.fork("rows")]
      const stays = new Float32Array(layers * samples * length).fill(1)
      const half = Math.floor(2 * drops.next())
      const isWhole = (sample: number) => progress === undefined || dropout === 0 || sample % 2 === half
      for (let layer = 0; layer < layers; layer++)
        for (let sample = 0; sample < samples; sample++)
          if (!isWhole(sample) && drops.next() < dropRate(layer, layers, dropout)) {
            const at = (layer * samples + sample) * length
            stays.fill(0, at, at + length)
          }
      const exits = rotatedExits(layers, rotation, Math.floor(random.fork("exits").next() * (layers - 1)))
      const weights = exits.map(exitWeight)
      const mass = weights.reduce((sum, weight) => sum + weight, 0)
      const weight = tensors.weight!.data as Float32Array
      /** Up to `picked` of these rows, by chance, and which of them are some. */
      const some = (from: readonly number[]) => {
        const rows = shuffled(from, order).slice(0, picked)
        const data = BigInt64Array.from({ length: picked }, (_, i) => BigInt(rows[i] ?? 0))
        const counts = Float32Array.from({ length: picked }, (_, i) => (i < rows.length ? 1 : 0))
        return { rows: whole(data), counts: floats(counts, picked), count: rows.length }
      }
      const all = [...weight.keys()]
      const exiting = some(all.filter((row) => row % length < length - 1 && weight[row + 1] === 1))
      // Rows behind an answer are padding.
      const ends = Array.from({ length: samples }, (_, i) => weight.lastIndexOf(1, (i + 1) * length - 1))
      const sampleOf = (row: number) => Math.floor(row / length)
      const holding = some(all.filter((row) => isWhole(sampleOf(row)) && row <= ends[sampleOf(row)]!))
      return {
        tensors: {
          tokens: tensors.tokens!,
          final: tensors.final!,
          stays: floats(stays, layers, samples * length),
          exits: whole(BigInt64Array.from(exits, BigInt)),
          shares: floats(
            Float32Array.from(weights, (one) => one / Math.max(1, mass)),
            weights.length,
          ),
          picked: exiting.rows,
          counts: exiting.counts,
          held: holding.rows,
          holds: holding.counts,
        },
        tokens: Math.min(tokens, exiting.count),
      }
    },
  }
}

const shuffled = (rows: readonly number[], random: Random): number[] =>
  rows
    .map((row) => ({ row, place: random.next() }))
    .sort((a, b) => a.place - b.place)
    .map(({ row }) => row)

const floats = (data: Float32Array, ...shape: number[]) => ({ type: "float32", shape, data }) as const
const whole = (data: BigInt64Array) => ({ type: "int64", shape: [data.length], data }) as const

function exitLoss(
  { graph, parameter, batch }: LossInputs,
  { target: { config, weights }, keep, head }: LossParts,
): Losses {
  const { layers, hidden } = config
  const adapt: Adapt = ({ name }) =>
    isChanged(name) ? { up: parameter(adapterNames.up(name)), down: parameter(adapterNames.down(name)) } : undefined
  const view = trainingView(graph, { config, weights, adapt })
  const [samples, length] = batch("tokens").shape as [number, number]
  const picked = (x: Value) => gather(x, batch("picked"))
  const states: Value[] = []
  let stream = view.embed(batch("tokens"))
  for (let layer = 0; layer < layers; layer++) {
    const after = view.layers(stream, [layer, layer + 1], { batch: samples, length })
    const stays = reshape(slice(batch("stays"), 0, layer, layer + 1), [samples * length, 1])
    stream = add(stream, multiply(stays, subtract(after, stream)))
    states.push(picked(stream))
  }
  const table = graph.weight("head", "float32", [head.length / hidden, hidden], () => bytesOf(head))
  const law = (normed: Value) => fusedMatmul(normed, table, { transB: true })
  /** Every exit goes through the last norm, in training as when it drafts. */
  const said = (state: Value) => law(view.norm(state))
  const rows = batch("picked").shape[0] as number
  const final = reshape(batch("final"), [samples * length, hidden])
  const teacher = law(picked(final))
  const exits = batch("exits").shape[0] as number
  const early = gather(reshape(concat(states.slice(0, -1), 0), [layers - 1, rows * hidden]), batch("exits"))
  const losses = divergence(
    concat(new Array<Value>(exits).fill(teacher), 0),
    said(reshape(early, [exits * rows, hidden])),
  )
  const counts = batch("counts")
  const mass = maximum(reduceSum(counts, [0], false), graph.scalar("float32", 1))
  const byExit = divide(reduceSum(multiply(reshape(losses, [exits, rows]), reshape(counts, [1, rows])), 1, false), mass)
  const exit = reduceSum(multiply(byExit, batch("shares")), [0], false)
  /** What the last layer says of all tokens, at any row: the model is to stay good for everything else. */
  const held = (x: Value) => view.head(gather(x, batch("held")))
  const drift = mean(divergence(held(final), held(view.norm(stream))), batch("holds"))
  const best = reshape(topK(teacher, graph.constant("int64", [1], [1]), 1).indices, [-1])
  const agreement = (layer: number) => mean(hits(said(states[layer]!), best), counts)
  const depth = (share: number) => Math.max(0, Math.round(layers * share) - 1)
  return {
    loss: add(exit, multiply(drift, graph.scalar("float32", keep))),
    metrics: { quarter: agreement(depth(0.25)), half: agreement(depth(0.5)), last: agreement(layers - 1), drift },
  }
}

interface LossParts extends Pick<RecipeContext, "target"> {
  readonly keep: number
  /** Rows of the tokens that exits are compared over. */
  readonly head: Float32Array
}

function bytesOf({ buffer, byteOffset, byteLength }: Float32Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength)
}
