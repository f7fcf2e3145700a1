/** The inputs that merged attention reads: the arena, the indices into it, the masks. Filled by runtime/merged-feeds.ts. */
import type { Value } from "../graph/index.ts"
import { blockSize, type ModelBuilder, rows } from "./builder.ts"

/**
 * Pages that are multiplied by equally many queries. There are two sets, or a page that one row sees would be multiplied
 * by as many queries as a page that sixty see.
 */
export interface PageSet {
  /** [pages, kvHeads, headSize, 128] and [pages, kvHeads, 128, headSize] */
  readonly keys: Value
  readonly values: Value
  /** [pages, kvHeads, page queries]: row·heads + head of the queries that see a page */
  readonly queryRows: Value
  /** The same shape: where the query's largest score is found. */
  readonly spots: Value
  /** [pages, 1, page queries, 128], or 1 where all entries of an axis are alike */
  readonly bias: Value
}

/** Indices are int32, but for those of a scatter. */
export interface MergedPast {
  /** [slots, kvHeads, headSize] */
  readonly tailKeys: Value
  readonly tailValues: Value
  /** [pieces, kvHeads, queries]: row·heads + head */
  readonly queryRows: Value
  /** [window, pieces]: slot of each cached position, or of zeros */
  readonly windowRows: Value
  /** [updates]: the row of each new position in a window, and its place there [updates, 2] */
  readonly newRows: Value
  readonly windowSpots: Value
  /** [pieces, 1, queries, window] */
  readonly bias: Value
  readonly windowOnes: Value
  readonly pageOnes: Value
  readonly pageSets: readonly PageSet[]
  /** [steps, pieces, kvHeads, queries]: partial results of a piece's pages in order, among those of all sets, then none */
  readonly pageSpots: Value
  /** [rows, heads]: where a row's results are */
  readonly rowSpots: Value
}

/** Pages that few queries see, and pages that many see. */
export const pageSets = 2

export function mergedPast(b: ModelBuilder, layer: number): MergedPast {
  const { heads, kvHeads, headSize } = b.config
  const index = (name: string, ...shape: (string | number)[]) => b.input(name, "int32", shape)
  const float = (name: string, ...shape: (string | number)[]) => b.input(name, "float32", shape)
  const window = b.windowOf(layer)
  return {
    tailKeys: float(`tailKeys${layer}`, "slots", kvHeads, headSize),
    tailValues: float(`tailValues${layer}`, "slots", kvHeads, headSize),
    queryRows: index("queryRows", "pieces", kvHeads, "queries"),
    windowRows: index("windowRows", "window", "pieces"),
    newRows: index("newRows", "updates"),
    windowSpots: b.input("windowSpots", "int64", ["updates", 2]),
    bias: float(`bias${window}`, "pieces", 1, "queries", "window"),
    windowOnes: float("windowOnes", "window", 1),
    pageOnes: float("pageOnes", blockSize, 1),
    pageSets: Array.from({ length: pageSets }, (_, set) => {
      const [pages, queries] = [`pages${set}`, `pageQueries${set}`]
      return {
        keys: float(`pageKeys${set}_${layer}`, pages, kvHeads, headSize, blockSize),
        values: float(`pageValues${set}_${layer}`, pages, kvHeads, blockSize, headSize),
        queryRows: index(`pageQueryRows${set}`, pages, kvHeads, queries),
        spots: index(`pageQuerySpots${set}`, pages, kvHeads, queries),
        bias: float(`pageBias${set}_${window}`, pages, 1, queries, blockSize),
      }
    }),
    pageSpots: index("pageSpots", "steps", "pieces", kvHeads, "queries"),
    rowSpots: index("rowSpots", rows, heads),
  }
}
