/**
 * Attention over a host-owned cache, in parts whose sums do not depend on what else runs in the pass (RUNTIME §3, §6).
 *
 * A row's past is cut at multiples of 128 positions. Full blocks are summed one by one, in order; what follows the last
 * full block (the tail) and the pass's new rows are summed in one product. Each product adds its terms one after the
 * other, and a masked term adds an exact zero, so a row has the same bits alone, in a chain, in a tree or in a chunk,
 * as long as its pass ends within the block in which it begins.
 */
import { fail } from "../graph/check.ts"
import {
  add,
  concat,
  divide,
  exp,
  fusedMatmul,
  maximum,
  reduceMax,
  reduceSum,
  reshape,
  rmsNorm,
  rotary,
  split,
  subtract,
  transpose,
  type Value,
} from "../graph/index.ts"
import { attentionScores, half } from "./attention-scores.ts"
import { type ModelBuilder, rows } from "./builder.ts"
import { mergedAttention } from "./merged-attention.ts"

export interface AttentionNorms {
  readonly query: Value
  readonly key: Value
}

/**
 * @param qkv [rows, (heads + 2·kvHeads)·headSize], queries, keys, values side by side
 * @returns [rows, heads·headSize]
 */
export function attention(b: ModelBuilder, layer: number, qkv: Value, norms?: AttentionNorms): Value {
  const { heads, kvHeads, headSize } = b.config
  const groups = heads / kvHeads
  const { query, key, value } = projected(b, layer, qkv, norms)
  b.keys[layer] = key
  b.values[layer] = value
  if (b.merged) return mergedAttention(b, layer, { query, key, value })

  // [kvHeads, groups·rows, headSize]: queries that share a key head in one product
  const turned = transpose(query, [1, 0, 2])
  const grouped = groups === 1 ? turned : reshape(turned, [kvHeads, -1, headSize])
  const past = b.past(layer)
  const bias = b.bias(layer)
  // Joined before the product: FusedMatMul divides by zero on an empty tail.
  const tailKeys = concat([past.tailKeys, key], 0) // [tail+rows, kvHeads, headSize]
  const tailScores = add(attentionScores(b, grouped, tailKeys, true), bias.tail)
  const tailValues = concat([past.tailValues, value], 0)
  const blockScores = add(attentionScores(b, grouped, past.blockKeys, false), bias.blocks) // [blocks, kvHeads, queries, 128]
  const max = maximum(reshape(reduceMax(blockScores, [0, 3]), [kvHeads, -1, 1]), reduceMax(tailScores, -1))
  const weigh = (scores: Value) => exp(subtract(scores, max))
  const [blockWeights, tailWeights] = [weigh(blockScores), weigh(tailScores)]
  const inBlocks = (values: Value) => reduceSum(fusedMatmul(blockWeights, values, { alpha: half }), 0, false)
  const sums = add(inBlocks(past.blockValues), fusedMatmul(tailWeights, tailValues, { transBatchB: true, alpha: half }))
  const mass = add(inBlocks(past.blockOnes), fusedMatmul(tailWeights, past.tailOnes, { alpha: half }))
  const attended = divide(sums, mass) // [kvHeads, queries, headSize]
  const ungrouped = groups === 1 ? attended : reshape(attended, [heads, -1, headSize])
  return reshape(transpose(ungrouped, [1, 0, 2]), [rows, heads * headSize])
}

/** Cuts qkv into heads, normalises and turns queries and keys. Each [rows, its heads, headSize]. */
function projected(b: ModelBuilder, layer: number, qkv: Value, norms: AttentionNorms | undefined) {
  const { heads, kvHeads, headSize, normEpsilon } = b.config
  const { rope } = b.config.layer[layer]!
  const cut = (x: Value) => split(reshape(x, [rows, heads + 2 * kvHeads, headSize]), [heads, kvHeads, kvHeads], 1)
  if (rope && !norms) {
    // Nothing comes between the projection and the turn, so all heads turn at once, values by an angle of zero.
    const { cos, sin } = b.ropeTable({ rope, turning: heads + kvHeads, still: kvHeads })
    const turned = rotary(reshape(qkv, [1, -1, headSize]), b.graph.constant("int64", [1], [0]), cos, sin)
    const [query, key, value] = cut(turned)
    return { query: query!, key: key!, value: value! }
  }
  const [query, key, value] = cut(qkv)
  if (!query || !key || !value) fail("attention", "queries, keys and values needed", qkv)
  const turn = (x: Value, count: number, norm: Value | undefined) => {
    const normed = norm ? rmsNorm(x, norm, normEpsilon) : x
    if (!rope) return normed
    const { cos, sin } = b.ropeTable({ rope, turning: count, still: 0 })
    const turned = rotary(reshape(normed, [1, -1, headSize]), b.graph.constant("int64", [1], [0]), cos, sin)
    return reshape(turned, [rows, count, headSize])
  }
  return { query: turn(query, heads, norms?.query), key: turn(key, kvHeads, norms?.key), value }
}
