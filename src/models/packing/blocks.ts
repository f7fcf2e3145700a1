/** Packs float32 matrices into blocks of 4 or 8 bits along the input axis, the layout of onnxruntime's MatMulNBits. */

export interface PackedBlocks {
  /** [rows, blocks, blockSize * bits / 8] */
  readonly data: Uint8Array
  /** [rows, blocks] */
  readonly scales: Float32Array
  /** [rows, blocks] (8 bits) or two to a byte, low nibble first (4 bits); undefined = 128 or 8 throughout */
  readonly zeroPoints?: Uint8Array
}

/** Symmetric 8-bit blocks: value ≈ scale · (q − 128), scale = max|value| / 127. */
export function packBlocks8(values: Float32Array, rows: number, columns: number, blockSize: number): PackedBlocks {
  const blocks = Math.ceil(columns / blockSize)
  const data = new Uint8Array(rows * blocks * blockSize).fill(128)
  const scales = new Float32Array(rows * blocks)
  for (let row = 0, at = 0; row < rows; row++) {
    for (let block = 0; block < blocks; block++) {
      const start = row * columns + block * blockSize
      const size = Math.min(blockSize, columns - block * blockSize)
      let largest = 0
      for (let i = 0; i < size; i++) {
        const magnitude = Math.abs(values[start + i]!)
        if (magnitude > largest) largest = magnitude
      }
      const inverse = largest === 0 ? 0 : 127 / largest
      for (let i = 0; i < size; i++) data[at + i] = values[start + i]! * inverse + 128.5
      scales[row * blocks + block] = largest / 127
      at += blockSize
    }
  }
  return { data, scales }
}

/** Affine 4-bit blocks: value ≈ scale · (q − zero), zero an integer of 0..15, so that 0 itself stays exact. */
export function packBlocks4(values: Float32Array, rows: number, columns: number, blockSize: number): PackedBlocks {
  const blocks = Math.ceil(columns / blockSize)
  const data = new Uint8Array((rows * blocks * blockSize) / 2)
  const scales = new Float32Array(rows * blocks)
  const zeroBytes = Math.ceil(blocks / 2)
  const zeroPoints = new Uint8Array(rows * zeroBytes)
  const block4 = new Uint8Array(blockSize)
  for (let row = 0; row < rows; row++) {
    for (let block = 0; block < blocks; block++) {
      const start = row * columns + block * blockSize
      const size = Math.min(blockSize, columns - block * blockSize)
      const { scale, zero } = fitBlock4(values, start, size, block4)
      const index = row * blocks + block
      scales[index] = scale
      zeroPoints[row * zeroBytes + (block >> 1)]! |= zero << (4 * (block & 1))
      block4.fill(zero, size)
      for (let i = 0; i < blockSize; i += 2) data[(index * blockSize + i) / 2] = block4[i]! | (block4[i + 1]! << 4)
    }
  }
  return { data, scales, zeroPoints }
}

/** The grid of least squared error among shrunken ranges: clipping a lone outlier often costs less than coarse steps. */
function fitBlock4(
  values: Float32Array,
  start: number,
  size: number,
  out: Uint8Array,
): { scale: number; zero: number } {
  let low = 0
  let high = 0
  for (let i = 0; i < size; i++) {
    const value = values[start + i]!
    if (value < low) low = value
    if (value > high) high = value
  }
  let best = { error: Number.POSITIVE_INFINITY, scale: 0, zero: 8 }
  if (high > low)
    for (const shrink of [1, 0.94, 0.88, 0.82]) {
      const scale = Math.fround(((high - low) * shrink) / 15)
      const zero = Math.min(15, Math.max(0, Math.round((-low * shrink) / scale)))
      let error = 0
      for (let i = 0; i < size; i++) {
        const value = values[start + i]!
        const q = Math.min(15, Math.max(0, Math.round(value / scale) + zero))
        error += (value - scale * (q - zero)) ** 2
      }
      if (error < best.error) best = { error, scale, zero }
    }
  const { scale, zero } = best
  for (let i = 0; i < size; i++)
    out[i] = scale === 0 ? zero : Math.min(15, Math.max(0, Math.round(values[start + i]! / scale) + zero))
  return { scale, zero }
}
