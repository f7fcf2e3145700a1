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
  const tile = new Int8Array(tileRows * columns)
  const columnsOfTile = Array.from({ length: columns }, (_, column) =>
    tile.subarray(column * tileRows, (column + 1) * tileRows),
  )
  const rows = values.length / columns
  for (let start = 0; start < rows; start += tileRows) {
    const count = Math.min(tileRows, rows - start)
    for (let row = 0; row < count; row++) {
      const from = (start + row) * columns
      scales[first + start + row] = packRow(values, from, from + columns, tile, row)
    }
    for (let column = 0, to = first + start; column < columns; column++, to += scales.length)
      data.set(count === tileRows ? columnsOfTile[column]! : columnsOfTile[column]!.subarray(0, count), to)
  }
}

/** Packs values [from, end) to every `tileRows`-th entry of the tile. @returns the scale */
function packRow(values: Float32Array, from: number, end: number, tile: Int8Array, row: number): number {
  let low = 0
  let high = 0
  for (let i = from; i < end; i++) {
    const value = values[i]!
    if (value > high) high = value
    if (value < low) low = value
  }
  const largest = Math.max(high, -low)
  const inverse = largest === 0 ? 0 : largestWeight / largest
  // Made positive before it is cut: rounds to the nearest.
  for (let i = from, to = row; i < end; i++, to += tileRows)
    tile[to] = ((values[i]! * inverse + (largestWeight + 0.5)) | 0) - largestWeight
  return largest / largestWeight
}
