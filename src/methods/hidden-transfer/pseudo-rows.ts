/** Which rows a pass with pseudo rows has, where they stand, and what they see. Pure. */
import type { BooleanMatrix } from "../../runtime/mask.ts"

/** Rows of real tokens: the pending one and a draft, or a prompt's. */
export interface RealRows {
  /** Cached positions, seen by all. */
  readonly past: number
  /** [rows] */
  readonly positions: Int32Array
  /** Row index of each row's parent, smaller than its own; -1 hangs on the past. [rows] */
  readonly parents: ArrayLike<number>
}

/** Of a line of rows. */
export const chainParents = (rows: number): Int32Array => Int32Array.from({ length: rows }, (_, row) => row - 1)

/**
 * Real rows, then step 1's pseudo row of each of them, then step 2's, and so on. The pseudo row of step j stands j
 * places after its real row: there it tells of the token after that place.
 */
export function positionsWithPseudo({ positions }: RealRows, steps: number): Int32Array {
  const rows = positions.length
  return Int32Array.from({ length: rows * (1 + steps) }, (_, row) => positions[row % rows]! + Math.floor(row / rows))
}

/**
 * No real row sees a pseudo row, so what real rows come to is the same bits without them. A pseudo row sees what its
 * real row sees, that row, the same row's pseudo rows of earlier steps, and itself.
 */
export function maskWithPseudo({ past, parents }: RealRows, steps: number): BooleanMatrix {
  const rows = parents.length
  const height = rows * (1 + steps)
  const columns = past + height
  const data = new Uint8Array(height * columns)
  for (let row = 0; row < rows; row++) {
    const at = row * columns
    const parent = parents[row]!
    if (parent < 0) data.fill(1, at, at + past)
    else data.copyWithin(at, parent * columns, (parent + 1) * columns)
    data[at + past + row] = 1
  }
  for (let row = rows; row < height; row++) {
    const above = row - rows // its real row, or its own pseudo row of the step before
    data.copyWithin(row * columns, above * columns, (above + 1) * columns)
    data[row * columns + past + row] = 1
  }
  return { rows: height, columns, data }
}

/** Steps by the layer after which their pseudo rows begin, in the order of the layers. */
export interface TransferStop {
  /** Layers that run before. */
  readonly layer: number
  /** The layer where the next stop is, or the number of layers. */
  readonly next: number
  /** How many steps begin here, and how many began before. */
  readonly count: number
  readonly before: number
}

/** @param layers after which each step begins, none before the one before it @param depth layers of the target */
export function transferStops(layers: readonly number[], depth: number): TransferStop[] {
  const distinct = [...new Set(layers)]
  return distinct.map((layer, i) => ({
    layer,
    next: distinct[i + 1] ?? depth,
    count: layers.filter((other) => other === layer).length,
    before: layers.indexOf(layer),
  }))
}
