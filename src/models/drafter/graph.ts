/** The graph that drafts: some rows in, their keys and values, predicted features and likeliest tokens out. */
import {
  add,
  concat,
  fusedMatmul,
  Graph,
  gather,
  multiply,
  reduceLogSumExp,
  reshape,
  softmax,
  split,
  subtract,
  topK,
  transpose,
  type Value,
} from "../../graph/index.ts"
import { linearFormats, type WeightFormat } from "../formats.ts"
import { matrixOf } from "../linear.ts"
import { memorySource } from "../memory-source.ts"
import type { PartTensor } from "../trained-part.ts"
import type { WeightSource } from "../weights.ts"
import { type DrafterWeights, finishLayer, fuse, layerWeights, project, turnRows } from "./layer.ts"
import { cacheWidth, type DrafterSizes, readsInputs } from "./sizes.ts"

export interface DraftGraphOptions {
  readonly sizes: DrafterSizes
  /** The part's tensors, checked before. */
  readonly tensors: ReadonlyMap<string, PartTensor>
  /** Rows of the target's head, one for each token that may be drafted: [vocabulary · hidden]. */
  readonly head: Float32Array
  /** How matrices are held. */
  readonly format: WeightFormat
}

/** Matrices whose input holds features, a few columns of which are far larger than the rest. */
const outliers: ReadonlySet<string> = new Set([...readsInputs, "featureMap.weight", "head.weight"])

/**
 * Inputs: embedded, features [rows, hidden]; cos, sin [rows, turning / 2]; pastKeys, pastValues [past, layers·kvHeads·headSize];
 * bias [rows, past+rows], 0 or −∞; picked int64 [picked]; top int64 [1].
 * Outputs: keys, values [rows, layers·kvHeads·headSize]; of the picked rows predicted [picked, hidden], ids int64 [picked, top]
 * and their log-probabilities logprobs [picked, top], likeliest first, over the drafter's own vocabulary.
 */
export function draftGraph({ sizes, tensors, head, format }: DraftGraphOptions): Graph {
  const { hidden, rope, layers = 1 } = sizes
  const graph = new Graph()
  const fusion = tensors.get("fusion.weight") // a dynamic fusion normalises embeddings before it maps them
  const balance = fusion ? balanceOf(fusion, hidden) : 1
  const all = new Map(tensors).set("head.weight", { shape: [head.length / hidden, hidden], values: head })
  for (const name of readsInputs) if (all.has(name)) all.set(name, balanced(all.get(name)!, hidden, balance))
  const weights = weightsIn(graph, memorySource(all), format)
  const pastOf = (name: string) => apartByLayer(graph.input(name, "float32", ["past", cacheWidth(sizes)]), layers)
  const past = { keys: pastOf("pastKeys"), values: pastOf("pastValues") }
  const tables = {
    cos: graph.input("cos", "float32", ["rows", rope.dimensions / 2]),
    sin: graph.input("sin", "float32", ["rows", rope.dimensions / 2]),
  }
  const embedded = multiply(graph.input("embedded", "float32", ["rows", hidden]), graph.scalar("float32", balance))
  let features = fuse(sizes, weights, embedded, graph.input("features", "float32", ["rows", hidden]))
  const bias = graph.input("bias", "float32", ["rows", "past+rows"])
  const added: { key: Value; value: Value }[] = []
  for (let layer = 0; layer < layers; layer++) {
    const own = layerWeights(weights, layer)
    const { query, key, value } = project(sizes, own, features, (x, heads) => turnRows(x, heads, tables))
    added.push({ key, value })
    const seen = { keys: concat([past.keys[layer]!, key], 0), values: concat([past.values[layer]!, value], 0) }
    features = finishLayer(sizes, own, features, attend(sizes, query, seen, bias))
  }
  const joined = (values: readonly Value[]) => (values.length === 1 ? values[0]! : concat(values, 1))
  graph.output("keys", joined(added.map(({ key }) => key)))
  graph.output("values", joined(added.map(({ value }) => value)))
  const predicted = gather(features, graph.input("picked", "int64", ["picked"]))
  const logits = weights.linear(predicted, "head.weight")
  const best = topK(logits, graph.input("top", "int64", [1]), "top")
  graph.output("predicted", predicted)
  graph.output("ids", best.indices)
  graph.output("logprobs", subtract(best.values, reduceLogSumExp(logits, 1)))
  return graph
}

/**
 * How much larger the fusion's columns for embeddings are than those for features, as a power of two: embeddings are
 * small and features large. Formats with one scale for a row would leave little of the smaller ones, so embeddings are
 * made larger by that much and their columns smaller, which changes nothing else.
 */
export function balanceOf({ values }: PartTensor, hidden: number): number {
  const squares: [number, number] = [0, 0]
  for (let i = 0; i < values.length; i++) squares[i % (2 * hidden) < hidden ? 0 : 1] += values[i]! ** 2
  const ratio = Math.sqrt(squares[0] / squares[1])
  return Number.isFinite(ratio) && ratio > 0 ? 2 ** Math.round(Math.log2(ratio)) : 1
}

const balanced = ({ shape, values }: PartTensor, hidden: number, balance: number): PartTensor => ({
  shape,
  values: values.map((value, i) => (i % (2 * hidden) < hidden ? value / balance : value)),
})

/** Rows of a cache, a slice for each layer. */
function apartByLayer(rows: Value, layers: number): readonly Value[] {
  const width = (rows.shape[1] as number) / layers
  return layers === 1 ? [rows] : split(rows, new Array<number>(layers).fill(width), 1)
}

/** @param seen past and new rows. @returns [rows, heads·headSize] */
function attend(sizes: DrafterSizes, query: Value, seen: { keys: Value; values: Value }, bias: Value): Value {
  const { heads, kvHeads, headSize } = sizes
  const [rows, columns] = bias.shape
  const turned = transpose(reshape(query, [rows!, heads, headSize]), [1, 0, 2])
  const grouped = reshape(turned, [kvHeads, heads / kvHeads, rows!, headSize])
  const apart = (x: Value) =>
    reshape(transpose(reshape(x, [columns!, kvHeads, headSize]), [1, 0, 2]), [kvHeads, 1, columns!, headSize])
  const scores = fusedMatmul(grouped, apart(seen.keys), { transB: true, alpha: 1 / Math.sqrt(headSize) })
  const attended = fusedMatmul(softmax(add(scores, bias)), apart(seen.values), {})
  return reshape(transpose(reshape(attended, [heads, rows!, headSize]), [1, 0, 2]), [rows!, heads * headSize])
}

function weightsIn(graph: Graph, source: WeightSource, format: WeightFormat): DrafterWeights {
  return {
    linear(x, name) {
      const matrix = matrixOf(source, name, [source.tensors.get(name)!], outliers.has(name))
      return linearFormats[format](graph, matrix)(x)
    },
    vector(name) {
      const { shape } = source.tensors.get(name)!
      return graph.weight(name, "float32", shape, () => source.raw(name))
    },
  }
}
