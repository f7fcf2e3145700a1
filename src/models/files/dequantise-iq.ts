/** Types that look groups of 4 or 8 values up in a codebook: IQ1, IQ2 and IQ3. Blocks of 256 values. */

import type { BlockReader } from "./dequantise.ts"
import { halfValues } from "./half.ts"
import { GRIDS } from "./iq-grids.ts"

const THREE_LEVELS = [8, 25, 43]
const EIGHT_LEVELS = [4, 12, 20, 28, 36, 44, 52, 62]
const ODD_LEVELS = [1, 3, 5, 7, 9, 11, 13, 15]
const TERNARY = [-1, 0, 1]

const unpacked = new Map<keyof typeof GRIDS, Float64Array>()

/** A codebook as values, entry after entry; made on first use. */
function grid(name: keyof typeof GRIDS, levels: readonly number[]): Float64Array {
  const known = unpacked.get(name)
  if (known !== undefined) return known
  const packed = Buffer.from(GRIDS[name], "base64")
  const bits = levels.length > 4 ? 3 : 2
  const width = levels.length > 4 ? 4 : 8
  const values = new Float64Array((packed.length / 2) * width)
  for (let index = 0; index < values.length; index++) {
    const code = packed.readUInt16LE(2 * Math.floor(index / width)) >> (bits * (index % width))
    values[index] = levels[code & ((1 << bits) - 1)]!
  }
  unpacked.set(name, values)
  return values
}

/** Seven stored signs; the eighth makes the number of minuses even. */
function eightSigns(seven: number): number {
  const folded = seven ^ (seven >> 4)
  const odd = (0x6996 >> (folded & 15)) & 1
  return seven | (odd << 7)
}

/** Writes `count` values of a codebook entry, times scale, negated where `signs` has a bit. */
function put(
  out: Float32Array,
  to: number,
  book: Float64Array,
  entry: number,
  count: number,
  scale: number,
  signs: number,
): void {
  for (let index = 0; index < count; index++) {
    const value = scale * book[entry * count + index]!
    out[to + index] = (signs >> index) & 1 ? -value : value
  }
}

const u16 = (raw: Uint8Array, at: number): number => raw[at]! | (raw[at + 1]! << 8)
const u32 = (raw: Uint8Array, at: number): number => (u16(raw, at) | (u16(raw, at + 2) << 16)) >>> 0

/** [scale], then for 32 values: [entries 4][signs 28 bits, scale 4 bits] */
export const iq2xxs: BlockReader = (raw, blocks, out) => {
  const half = halfValues()
  const book = grid("iq2xxs", THREE_LEVELS)
  for (let block = 0, at = 0, to = 0; block < blocks; block++, at += 66)
    for (let group = 0; group < 8; group++) {
      const from = at + 2 + group * 8
      const packed = u32(raw, from + 4)
      const scale = half[u16(raw, at)]! * (0.5 + (packed >>> 28)) * 0.25
      for (let part = 0; part < 4; part++, to += 8)
        put(out, to, book, raw[from + part]!, 8, scale, eightSigns((packed >>> (7 * part)) & 127))
    }
}

/** [scale][entry 9 bits, signs 7 bits, 32 times][4-bit scales 8] */
export const iq2xs: BlockReader = (raw, blocks, out) => {
  const half = halfValues()
  const book = grid("iq2xs", THREE_LEVELS)
  for (let block = 0, at = 0, to = 0; block < blocks; block++, at += 74)
    for (let part = 0; part < 32; part++, to += 8) {
      const packed = u16(raw, at + 2 + part * 2)
      const groupScale = (raw[at + 66 + (part >> 2)]! >> (4 * ((part >> 1) & 1))) & 15
      const scale = half[u16(raw, at)]! * (0.5 + groupScale) * 0.25
      put(out, to, book, packed & 511, 8, scale, eightSigns(packed >> 9))
    }
}

/** [scale][entries, low 8 bits 32][signs 32][entries, high 2 bits 8][4-bit scales 8] */
export const iq2s: BlockReader = (raw, blocks, out) => {
  const half = halfValues()
  const book = grid("iq2s", THREE_LEVELS)
  for (let block = 0, at = 0, to = 0; block < blocks; block++, at += 82)
    for (let part = 0; part < 32; part++, to += 8) {
      const high = (raw[at + 66 + (part >> 2)]! >> (2 * (part & 3))) & 3
      const groupScale = (raw[at + 74 + (part >> 2)]! >> (4 * ((part >> 1) & 1))) & 15
      const scale = half[u16(raw, at)]! * (0.5 + groupScale) * 0.25
      put(out, to, book, raw[at + 2 + part]! | (high << 8), 8, scale, raw[at + 34 + part]!)
    }
}

/** [scale][entries of 4 values 64], then for 32 values: [signs 28 bits, scale 4 bits] */
export const iq3xxs: BlockReader = (raw, blocks, out) => {
  const half = halfValues()
  const book = grid("iq3xxs", EIGHT_LEVELS)
  for (let block = 0, at = 0, to = 0; block < blocks; block++, at += 98)
    for (let group = 0; group < 8; group++) {
      const packed = u32(raw, at + 66 + group * 4)
      const scale = half[u16(raw, at)]! * (0.5 + (packed >>> 28)) * 0.5
      for (let part = 0; part < 4; part++, to += 8) {
        const signs = eightSigns((packed >>> (7 * part)) & 127)
        const from = at + 2 + group * 8 + part * 2
        put(out, to, book, raw[from]!, 4, scale, signs)
        put(out, to + 4, book, raw[from + 1]!, 4, scale, signs >> 4)
      }
    }
}

/** [scale][entries of 4 values, low 8 bits 64][their ninth bits 8][signs 32][4-bit scales 4] */
export const iq3s: BlockReader = (raw, blocks, out) => {
  const half = halfValues()
  const book = grid("iq3s", ODD_LEVELS)
  for (let block = 0, at = 0, to = 0; block < blocks; block++, at += 110)
    for (let part = 0; part < 64; part++, to += 4) {
      const ninth = (raw[at + 66 + (part >> 3)]! >> (part & 7)) & 1
      const groupScale = (raw[at + 106 + (part >> 4)]! >> (4 * ((part >> 3) & 1))) & 15
      const signs = raw[at + 74 + (part >> 1)]! >> (4 * (part & 1))
      const scale = half[u16(raw, at)]! * (1 + 2 * groupScale)
      put(out, to, book, raw[at + 2 + part]! | (ninth << 8), 4, scale, signs)
    }
}

const SHIFT = 0.125

function putShifted(
  out: Float32Array,
  to: number,
  book: Float64Array,
  entry: number,
  scale: number,
  shift: number,
): void {
  for (let index = 0; index < 8; index++) out[to + index] = scale * (book[entry * 8 + index]! + shift)
}

/** [scale][entries, low 8 bits 32], then for 32 values 16 bits: [entries, high 3 bits, 4 times][scale 3][shift's sign] */
export const iq1s: BlockReader = (raw, blocks, out) => {
  const half = halfValues()
  const book = grid("iq1s", TERNARY)
  for (let block = 0, at = 0, to = 0; block < blocks; block++, at += 50)
    for (let group = 0; group < 8; group++) {
      const packed = u16(raw, at + 34 + group * 2)
      const scale = half[u16(raw, at)]! * (2 * ((packed >> 12) & 7) + 1)
      const shift = packed & 0x8000 ? -SHIFT : SHIFT
      for (let part = 0; part < 4; part++, to += 8) {
        const high = (packed >> (3 * part)) & 7
        putShifted(out, to, book, raw[at + 2 + group * 4 + part]! | (high << 8), scale, shift)
      }
    }
}

/** [entries, low 8 bits 32][high 3 bits and shift's sign, 4 bits each 16][3-bit scales 8, with the scale in their gaps] */
export const iq1m: BlockReader = (raw, blocks, out) => {
  const half = halfValues()
  const book = grid("iq1s", TERNARY)
  for (let block = 0, at = 0, to = 0; block < blocks; block++, at += 56) {
    const scales = [0, 1, 2, 3].map((index) => u16(raw, at + 48 + index * 2))
    const whole = scales.reduce((bits, packed, index) => bits | ((packed >> 12) << (4 * index)), 0)
    for (let part = 0; part < 32; part++, to += 8) {
      const extra = raw[at + 32 + (part >> 1)]! >> (4 * (part & 1))
      const group = part >> 1 // 16 groups of 16 values, four in each 16-bit word
      const scale = half[whole]! * (2 * ((scales[group >> 2]! >> (3 * (group & 3))) & 7) + 1)
      putShifted(out, to, book, raw[at + part]! | ((extra & 7) << 8), scale, extra & 8 ? -SHIFT : SHIFT)
    }
  }
}
