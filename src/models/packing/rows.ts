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

const tile = 64

export function packRows8(values: Float32Array, rows: number, columns: number): PackedRows {
  const data = new Int8Array(rows * columns)
  const scales = new Float32Array(rows)
  const inverse = new Float32Array(rows)
  for (let row = 0; row < rows; row++) {
    let largest = 0
    for (let column = 0; column < columns; column++) {
      const value = values[row * columns + column]!
      const magnitude = value < 0 ? -value : value
      if (magnitude > largest) largest = magnitude
    }
    scales[row] = largest / largestWeight
    inverse[row] = largest === 0 ? 0 : largestWeight / largest
  }
  // Tiles keep both the read rows and the written columns in the cache.
  for (let rowTile = 0; rowTile < rows; rowTile += tile)
    for (let columnTile = 0; columnTile < columns; columnTile += tile) {
      const [lastRow, lastColumn] = [Math.min(rows, rowTile + tile), Math.min(columns, columnTile + tile)]
      for (let row = rowTile; row < lastRow; row++) {
        const scaled = inverse[row]!
        const end = row * columns + lastColumn
        let to = columnTile * rows + row
        for (let from = row * columns + columnTile; from < end; from++) {
          // Made positive before it is cut: rounds to the nearest.
          data[to] = ((values[from]! * scaled + (largestWeight + 0.5)) | 0) - largestWeight
          to += rows
        }
      }
    }
  return { data, scales }
}
