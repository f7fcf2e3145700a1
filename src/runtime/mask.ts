/** Attention masks of a pass as the additive biases that the graph takes. */
import { ForerunError } from "../base/errors.ts"
import { blockSize } from "../models/builder.ts"

/** A candidate tree: every row sees the whole past, its ancestors and itself. */
export interface TreeMask {
  /** Row index of each row's parent, smaller than its own; -1 hangs on the past. */
  readonly parents: Int32Array
}

/** 1 = may attend. Columns: cached positions, then the rows of the pass. */
export interface BooleanMatrix {
  readonly rows: number
  readonly columns: number
  readonly data: Uint8Array
}

export type Mask = "causal" | "bidirectional" | TreeMask | BooleanMatrix

export interface MaskContext {
  readonly rows: number
  /** Cached positions. */
  readonly past: number
  readonly positions: Int32Array
  readonly pastPositions: Int32Array
  /** Query heads for each key head: biases repeat for each. */
  readonly groups: number
}

export interface Bias {
  readonly data: Float32Array
  readonly dims: readonly number[]
}

const hidden = Number.NEGATIVE_INFINITY

/** How far a row can see in the narrowest layer that runs. */
export type Reach = Pick<MaskContext, "positions" | "pastPositions"> & { readonly window: number }

export function checkMask(mask: Mask, rows: number, past: number, reach: Reach): void {
  if (mask === "causal" || mask === "bidirectional") return
  if (typeof mask !== "object" || mask === null)
    bad(`"causal", "bidirectional", a tree or a matrix, found ${JSON.stringify(mask)}`)
  if ("parents" in mask) {
    if (mask.parents.length !== rows) bad(`a tree of ${rows} rows, found ${mask.parents.length} parents`)
    mask.parents.forEach((parent, row) => {
      if (!Number.isInteger(parent) || parent < -1 || parent >= row)
        bad(`parents before their children, row ${row} has ${parent}`)
    })
    return
  }
  const { rows: height, columns, data } = mask
  if (height !== rows || columns !== past + rows || data.length !== height * columns)
    bad(`a ${rows} × ${past + rows} matrix, found ${height} × ${columns} with ${data.length} entries`)
  const { window, positions, pastPositions } = reach
  for (let row = 0; row < rows; row++) {
    let sees = false
    for (let column = 0; column < columns && !sees; column++) {
      const position = column < past ? pastPositions[column]! : positions[column - past]!
      sees = data[row * columns + column] !== 0 && Math.abs(positions[row]! - position) < window
    }
    if (!sees)
      bad(`every row to see at least one position${window < Infinity ? ` within ${window}` : ""}, row ${row} sees none`)
  }
}

function bad(needed: string): never {
  throw new ForerunError("E_INPUT", `mask: needs ${needed}`)
}

/** Whether row `row` sees column `column` (past positions first), window aside. */
function visibility(mask: Mask, context: Omit<MaskContext, "groups">): (row: number, column: number) => boolean {
  const { past } = context
  if (mask === "bidirectional") return () => true
  if (mask === "causal") return (row, column) => column <= past + row
  if ("data" in mask) return (row, column) => mask.data[row * mask.columns + column] !== 0
  const size = context.rows
  const sees = new Uint8Array(size * size)
  mask.parents.forEach((parent, row) => {
    if (parent >= 0) sees.copyWithin(row * size, parent * size, (parent + 1) * size)
    sees[row * size + row] = 1
  })
  return (row, column) => column < past || sees[row * size + column - past] === 1
}

export interface Sight {
  /** Whether row `row` sees column `column`: past positions first, then the rows of the pass. */
  sees(row: number, column: number): boolean
  /** Whether full blocks may hold positions that a row does not see. */
  readonly hidesBlocks: boolean
}

export function sightOf(mask: Mask, window: number | undefined, context: Omit<MaskContext, "groups">): Sight {
  const { past, positions, pastPositions } = context
  const visible = visibility(mask, context)
  if (window === undefined) return { sees: visible, hidesBlocks: typeof mask === "object" && "data" in mask }
  const positionOf = (column: number) => (column < past ? pastPositions[column]! : positions[column - past]!)
  const inWindow = (row: number, column: number) => Math.abs(positions[row]! - positionOf(column)) < window
  return { sees: (row, column) => visible(row, column) && inWindow(row, column), hidesBlocks: true }
}

const open: Bias = { data: new Float32Array(1), dims: [1, 1] }
const blocksOf = (value: number): Bias => ({
  data: new Float32Array(blockSize).fill(value),
  dims: [1, 1, 1, blockSize],
})
const openBlocks = blocksOf(0)
/** Where there are no full blocks, the graph gets one that nobody sees. */
const noBlocks = blocksOf(hidden)

/** Biases over the tail and new rows [groups·rows, tail+rows], and over full blocks [blocks, 1, groups·rows, 128]. */
export function biasesOf(mask: Mask, window: number | undefined, context: MaskContext): { tail: Bias; blocks: Bias } {
  const { rows, past, groups } = context
  const full = past - (past % blockSize)
  const width = past - full + rows
  const windowed = window !== undefined
  const seenBlocks = full === 0 ? noBlocks : openBlocks
  if (!windowed && (mask === "bidirectional" || (mask === "causal" && rows === 1)))
    return { tail: open, blocks: seenBlocks }

  const { sees, hidesBlocks } = sightOf(mask, window, context)
  const fill = (first: number, count: number, write: (row: number, column: number, value: number) => void) => {
    for (let row = 0; row < rows; row++)
      for (let column = 0; column < count; column++) write(row, column, sees(row, first + column) ? 0 : hidden)
  }
  const tail = new Float32Array(groups * rows * width)
  fill(full, width, (row, column, value) => {
    tail[row * width + column] = value
  })
  for (let group = 1; group < groups; group++) tail.copyWithin(group * rows * width, 0, rows * width)
  const tailBias = { data: tail, dims: [groups * rows, width] }
  if (full === 0 || !hidesBlocks) return { tail: tailBias, blocks: seenBlocks }

  const blocks = new Float32Array(full * groups * rows)
  fill(0, full, (row, column, value) => {
    const block = Math.floor(column / blockSize)
    for (let group = 0; group < groups; group++)
      blocks[((block * groups + group) * rows + row) * blockSize + (column % blockSize)] = value
  })
  return { tail: tailBias, blocks: { data: blocks, dims: [full / blockSize, 1, groups * rows, blockSize] } }
}
