/** Packs float32 matrices to int8 with one scale per output row, transposed to [in, out] for MatMulIntegerToFloat. */

/**
 * Weights keep 7 of the 8 bits. Processors without VNNI add pairs of products in 16 bits and saturate: with activations
 * up to 255, 2 · 255 · 64 still fits. Saturated sums cost far more than the bit does.
 */
const largestWeight = 64

export interface PackedRows {
  /** int8 [in, out] */
  readonly data: Int8Array
  /** float32 [out] */
  readonly scales: Float32Array
}

/** Rows turned together, in a tile that the cache holds: columns of the result lie too far apart to be written singly. */
const tileRows = 64

/** Where the rows of a matrix [rows, columns] are packed to. */
export function createPackedRows(rows: number, columns: number): PackedRows {
  return { data: new Int8Array(rows * columns), scales: new Float32Array(rows) }
}

/** Packs rows of `columns` values, the matrix's from `first` on. */
export function packRows8(into: PackedRows, values: Float32Array, first: number, columns: number): void {
  const { data, scales } = into
  const tile = new Int32Array((tileRows * columns) / 4) // [columns, tileRows] bytes, four rows to a word
  const column = (at: number, rows: number) => new Int8Array(tile.buffer, at * tileRows, rows)
  const whole = Array.from({ length: columns }, (_, at) => column(at, tileRows))
  const rows = values.length / columns
  for (let start = 0; start < rows; start += tileRows) {
    const end = Math.min(rows, start + tileRows)
    for (let row = start; row < end; row++)
      scales[first + row] = largestOf(values, row * columns, columns) / largestWeight
    const scaleOf = (row: number) => scales[first + row]!
    for (let row = start; row < end; row += 4) packFourRows({ values, columns, tile, scaleOf }, row, row - start)
    for (let at = 0, to = first + start; at < columns; at++, to += scales.length)
      data.set(end - start === tileRows ? whole[at]! : column(at, end - start), to)
  }
}

interface Tile {
  readonly values: Float32Array
  readonly columns: number
  readonly tile: Int32Array
  scaleOf(row: number): number
}

/** Packs the rows from `row` on into the tile's rows from `to` on; rows beyond the last are packed as the last. */
function packFourRows({ values, columns, tile, scaleOf }: Tile, row: number, to: number): void {
  const last = values.length / columns - 1
  const rows = [row, row + 1, row + 2, row + 3].map((one) => Math.min(one, last))
  const [a, b, c, d] = rows.map((one) => one * columns) as [number, number, number, number]
  const [ofA, ofB, ofC, ofD] = rows.map((one) => (scaleOf(one) === 0 ? 0 : 1 / scaleOf(one))) as typeof rows &
    [number, number, number, number]
  // Made positive before they are cut: rounds to the nearest.
  const half = largestWeight + 0.5
  for (let i = 0, word = to / 4; i < columns; i++, word += tileRows / 4)
    tile[word] =
      ((((values[a + i]! * ofA + half) | 0) - largestWeight) & 255) |
      (((((values[b + i]! * ofB + half) | 0) - largestWeight) & 255) << 8) |
      (((((values[c + i]! * ofC + half) | 0) - largestWeight) & 255) << 16) |
      ((((values[d + i]! * ofD + half) | 0) - largestWeight) << 24)
}

function largestOf(values: Float32Array, from: number, columns: number): number {
  let low = 0
  let high = 0
  for (let i = from; i < from + columns; i++) {
    const value = values[i]!
    if (value > high) high = value
    if (value < low) low = value
  }
  return Math.max(high, -low)
}
