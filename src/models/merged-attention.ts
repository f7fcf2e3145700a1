/**
 * Attention of a merged pass: rows of several sequences, each over its own past, with the bits that it has alone.
 *
 * Rows are cut into pieces of equal length that fill up with rows nobody reads; a piece belongs to one sequence. For each
 * piece a window is put together: the positions behind its sequence's last full block, cached ones and new ones in their
 * order, then rows of zeros. Full blocks are pages of an arena: a page is multiplied once by all queries that see it,
 * whoever they belong to, so a shared prefix is read once. Everything that goes from one layout to another is an index
 * made by the host (runtime/merged-feeds.ts).
 */
import {
  add,
  concat,
  divide,
  exp,
  fusedMatmul,
  gather,
  maximum,
  reduceMax,
  reduceSum,
  reshape,
  scatterRows,
  subtract,
  type Value,
} from "../graph/index.ts"
import { attentionScores, half } from "./attention-scores.ts"
import { type ModelBuilder, rows } from "./builder.ts"
import { mergedPast, type PageSet } from "./merged-past.ts"

export interface Projections {
  /** [rows, heads, headSize] */
  readonly query: Value
  /** [rows, kvHeads, headSize] */
  readonly key: Value
  readonly value: Value
}

/** @returns [rows, heads·headSize] */
export function mergedAttention(b: ModelBuilder, layer: number, { query, key, value }: Projections): Value {
  const { heads, headSize } = b.config
  const { graph } = b
  const past = mergedPast(b, layer)
  const queries = reshape(query, [-1, headSize])
  const inWindow = (tail: Value, added: Value) =>
    scatterRows(gather(tail, past.windowRows), past.windowSpots, gather(added, past.newRows))
  const [keys, values] = [inWindow(past.tailKeys, key), inWindow(past.tailValues, value)]
  // [pieces, kvHeads, queries, window]
  const scores = add(attentionScores(b, gather(queries, past.queryRows), keys, true), past.bias)
  // [pages, kvHeads, page queries, 128] of each set
  const pageScores = past.pageSets.map((set) =>
    add(attentionScores(b, gather(queries, set.queryRows), set.keys, false), set.bias),
  )
  const largest = pageScores.map((one) => reshape(reduceMax(one, -1), [-1, 1]))
  // Where a piece has fewer pages than another, a constant stands in for them.
  const inOrder = (parts: readonly Value[], width: number, absent: number) => {
    const none = graph.constant("float32", [1, width], new Array(width).fill(absent))
    return gather(concat([...parts, none], 0), past.pageSpots) // [steps, pieces, kvHeads, queries, width]
  }
  const max = maximum(reduceMax(inOrder(largest, 1, Number.NEGATIVE_INFINITY), 0, false), reduceMax(scores, -1))
  const flatMax = reshape(max, [-1, 1])
  const pageWeights = pageScores.map((one, i) => exp(subtract(one, gather(flatMax, past.pageSets[i]!.spots))))
  const weights = exp(subtract(scores, max))
  const inPages = (width: number, right: (set: PageSet) => Value) => {
    const parts = pageWeights.map((one, i) => {
      const product = fusedMatmul(one, right(past.pageSets[i]!), { alpha: half })
      return reshape(product, [-1, width])
    })
    return reduceSum(inOrder(parts, width, 0), 0, false) // in block order
  }
  const sums = add(
    inPages(headSize, (set) => set.values),
    fusedMatmul(weights, values, { transBatchB: true, alpha: half }),
  )
  const mass = add(
    inPages(1, () => past.pageOnes),
    fusedMatmul(weights, past.windowOnes, { alpha: half }),
  )
  const attended = reshape(divide(sums, mass), [-1, headSize])
  return reshape(gather(attended, past.rowSpots), [rows, heads * headSize])
}
