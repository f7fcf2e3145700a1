/**
 * Hadamard rotation of activations and weights, a block of columns at a time (QuaRot, arXiv:2404.00456 §3): with
 * H·Hᵀ = 1, x·Wᵀ = (x·H)·(W·H)ᵀ, but the rotated numbers have no outliers, so 8 bits with one scale a row lose less.
 */

/** Columns rotated together: the largest power of two up to 64 that divides `columns`; below 16 it is not worth it. */
export function rotationSize(columns: number): number | undefined {
  let size = 64
  while (columns % size !== 0) size /= 2
  return size >= 16 ? size : undefined
}

/** The orthonormal Hadamard matrix [size, size], symmetric; `size` a power of two. */
export function hadamard(size: number): Float32Array {
  const identity = new Float32Array(size * size)
  for (let i = 0; i < size; i++) identity[i * size + i] = 1
  rotate(identity, size)
  return identity
}

/** Multiplies every run of `size` values by the Hadamard matrix, in place (a fast Walsh-Hadamard transform). */
export function rotate(values: Float32Array, size: number): void {
  const scale = 1 / Math.sqrt(size)
  for (let start = 0; start < values.length; start += size) {
    let half = 1
    // Two steps at once: half as many values read and written.
    for (; half * 4 <= size; half *= 4)
      for (let four = start; four < start + size; four += 4 * half)
        for (let i = four; i < four + half; i++) {
          const a = values[i]!
          const b = values[i + half]!
          const c = values[i + 2 * half]!
          const d = values[i + 3 * half]!
          values[i] = a + b + (c + d)
          values[i + half] = a - b + (c - d)
          values[i + 2 * half] = a + b - (c + d)
          values[i + 3 * half] = a - b - (c - d)
        }
    if (half < size)
      for (let i = start; i < start + half; i++) {
        const a = values[i]!
        const b = values[i + half]!
        values[i] = a + b
        values[i + half] = a - b
      }
    for (let i = start; i < start + size; i++) values[i]! *= scale
  }
}
