/** Repacks GGUF blocks of 32 for MatMulNBits without changing the values they stand for. */
import type { TensorType } from "../weights.ts"
import type { PackedBlocks } from "./blocks.ts"

const size = 32

/** Block types whose values MatMulNBits holds exactly, with their bits and their bytes in the file. */
export const heldExactly: ReadonlyMap<TensorType, { readonly bits: 4 | 8; readonly bytes: number }> = new Map([
  ["Q4_0", { bits: 4, bytes: 18 }],
  ["Q8_0", { bits: 8, bytes: 34 }],
])

/** @param raw blocks of a half-precision scale and 32 quants, row by row */
export function packAsIs(type: TensorType, raw: Uint8Array, rows: number, columns: number): PackedBlocks {
  const { bits, bytes } = heldExactly.get(type)!
  const blocks = (rows * columns) / size
  const scales = new Float32Array(blocks)
  const data = new Uint8Array((rows * columns * bits) / 8)
  const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength)
  for (let block = 0; block < blocks; block++) {
    const from = block * bytes
    scales[block] = half(view.getUint16(from, true))
    if (bits === 8) {
      for (let i = 0; i < size; i++) data[block * size + i] = raw[from + 2 + i]! ^ 0x80 // int8 + 128
      continue
    }
    // GGUF: byte i holds values i and i + 16. MatMulNBits: byte i holds values 2i and 2i + 1.
    for (let i = 0; i < 8; i++) {
      const a = raw[from + 2 + 2 * i]!
      const b = raw[from + 3 + 2 * i]!
      data[block * 16 + i] = (a & 15) | ((b & 15) << 4)
      data[block * 16 + 8 + i] = (a >> 4) | (b & 0xf0)
    }
  }
  return { data, scales }
}

function half(bits: number): number {
  const exponent = (bits >> 10) & 31
  const fraction = bits & 1023
  const infinite = fraction === 0 ? Number.POSITIVE_INFINITY : Number.NaN
  const normal = exponent === 31 ? infinite : (1 + fraction / 1024) * 2 ** (exponent - 15)
  const magnitude = exponent === 0 ? fraction * 2 ** -24 : normal
  return bits & 0x8000 ? -magnitude : magnitude
}
