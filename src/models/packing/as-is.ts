/** Repacks GGUF blocks of 32 for MatMulNBits without changing the values they stand for. */
import type { TensorType } from "../weights.ts"
import type { PackedBlocks } from "./blocks.ts"

const size = 32

export interface AsIsBlocks extends PackedBlocks {
  /**
   * [blocks, rows] or undefined: what a block's values lie above the 4-bit grid around zero. Q4_1 stores d·q + m with any
   * m, which no integer zero point can hold, so x·Wᵀ = x·(d·(q − 8))ᵀ + (sums of x by block)·(m + 8d).
   */
  readonly offsets?: Float32Array
  readonly bits: 4 | 8
}

/** Block types whose values MatMulNBits can hold exactly, with their bits. */
export const heldExactly: ReadonlyMap<TensorType, 4 | 8> = new Map([
  ["Q4_0", 4],
  ["Q4_1", 4],
  ["Q8_0", 8],
])

/** Bytes of a block: half-precision scale (and minimum), then the quants. */
const blockBytes: Partial<Record<TensorType, number>> = { Q4_0: 18, Q4_1: 20, Q8_0: 34 }

export function packAsIs(type: TensorType, raw: Uint8Array, rows: number, columns: number): AsIsBlocks {
  const blocks = columns / size
  const scales = new Float32Array(rows * blocks)
  const bits = heldExactly.get(type)!
  const data = new Uint8Array((rows * columns * bits) / 8)
  const offsets = type === "Q4_1" ? new Float32Array(rows * blocks) : undefined
  const stride = blockBytes[type]!
  const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength)
  for (let row = 0, block = 0; row < rows; row++)
    for (let column = 0; column < blocks; column++, block++) {
      const from = block * stride
      const scale = half(view.getUint16(from, true))
      scales[block] = scale
      if (bits === 8) {
        for (let i = 0; i < size; i++) data[block * size + i] = raw[from + 2 + i]! ^ 0x80 // int8 + 128
        continue
      }
      if (offsets) offsets[column * rows + row] = half(view.getUint16(from + 2, true)) + 8 * scale
      const quants = from + (type === "Q4_1" ? 4 : 2)
      // GGUF: byte i holds values i and i + 16. MatMulNBits: byte i holds values 2i and 2i + 1.
      for (let i = 0; i < 8; i++) {
        const a = raw[quants + 2 * i]!
        const b = raw[quants + 2 * i + 1]!
        data[block * 16 + i] = (a & 15) | ((b & 15) << 4)
        data[block * 16 + 8 + i] = (a >> 4) | (b & 0xf0)
      }
    }
  return { data, scales, bits, ...(offsets ? { offsets } : {}) }
}

const halves = new Float32Array(65536)
for (let bits = 0; bits < 65536; bits++) {
  const exponent = (bits >> 10) & 31
  const fraction = bits & 1023
  const magnitude =
    exponent === 0
      ? fraction * 2 ** -24
      : exponent === 31
        ? fraction
          ? Number.NaN
          : Number.POSITIVE_INFINITY
        : (1 + fraction / 1024) * 2 ** (exponent - 15)
  halves[bits] = bits & 0x8000 ? -magnitude : magnitude
}
const half = (bits: number): number => halves[bits]!
