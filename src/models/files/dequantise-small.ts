/** Types whose values come from a small list: IQ4_NL, IQ4_XS, MXFP4, NVFP4, TQ1_0, TQ2_0. */

import type { BlockReader } from "./dequantise.ts"
import { halfValues } from "./half.ts"

const NONLINEAR = Float64Array.of(-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113)
const FOUR_BIT_FLOATS = Float64Array.of(0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12) // doubled

export const iq4nl: BlockReader = (raw, blocks, out) => {
  const half = halfValues()
  for (let block = 0, at = 0, to = 0; block < blocks; block++, at += 18, to += 32) {
    const scale = half[raw[at]! | (raw[at + 1]! << 8)]!
    for (let index = 0; index < 16; index++) {
      const pair = raw[at + 2 + index]!
      out[to + index] = NONLINEAR[pair & 15]! * scale
      out[to + 16 + index] = NONLINEAR[pair >> 4]! * scale
    }
  }
}

/** [scale][high scale bits 2][low scale bits 4][values 128] */
export const iq4xs: BlockReader = (raw, blocks, out) => {
  const half = halfValues()
  for (let block = 0, at = 0, to = 0; block < blocks; block++, at += 136) {
    const scale = half[raw[at]! | (raw[at + 1]! << 8)]!
    const high = raw[at + 2]! | (raw[at + 3]! << 8)
    for (let group = 0; group < 8; group++, to += 32) {
      const low = (raw[at + 4 + (group >> 1)]! >> (4 * (group & 1))) & 15
      const groupScale = scale * ((low | (((high >> (2 * group)) & 3) << 4)) - 32)
      const from = at + 8 + group * 16
      for (let index = 0; index < 16; index++) {
        const pair = raw[from + index]!
        out[to + index] = NONLINEAR[pair & 15]! * groupScale
        out[to + 16 + index] = NONLINEAR[pair >> 4]! * groupScale
      }
    }
  }
}

/** [power of two][values 16] */
export const mxfp4: BlockReader = (raw, blocks, out) => {
  for (let block = 0, at = 0, to = 0; block < blocks; block++, at += 17, to += 32) {
    const scale = 2 ** (raw[at]! - 128) // halved, as the list is doubled
    for (let index = 0; index < 16; index++) {
      const pair = raw[at + 1 + index]!
      out[to + index] = FOUR_BIT_FLOATS[pair & 15]! * scale
      out[to + 16 + index] = FOUR_BIT_FLOATS[pair >> 4]! * scale
    }
  }
}

/** [unsigned 8-bit float scales 4][values 32], a scale for 16 values */
export const nvfp4: BlockReader = (raw, blocks, out) => {
  for (let block = 0, at = 0, to = 0; block < blocks; block++, at += 36)
    for (let group = 0; group < 4; group++, to += 16) {
      const scale = unsignedFloat8(raw[at + group]!) / 2
      for (let index = 0; index < 8; index++) {
        const pair = raw[at + 4 + group * 8 + index]!
        out[to + index] = FOUR_BIT_FLOATS[pair & 15]! * scale
        out[to + 8 + index] = FOUR_BIT_FLOATS[pair >> 4]! * scale
      }
    }
}

/** E4M3 without a sign; the NaN code counts as 0. */
function unsignedFloat8(code: number): number {
  const exponent = (code >> 3) & 15
  const fraction = code & 7
  if (code === 0x7f) return 0
  return exponent === 0 ? fraction * 2 ** -9 : (1 + fraction / 8) * 2 ** (exponent - 7)
}

const POWERS_OF_THREE = [1, 3, 9, 27, 81]

/** [five ternary digits a byte 48][four a byte 4][scale] */
export const tq1_0: BlockReader = (raw, blocks, out) => {
  const half = halfValues()
  for (let block = 0, at = 0, to = 0; block < blocks; block++, at += 54) {
    const scale = half[raw[at + 52]! | (raw[at + 53]! << 8)]!
    const unpack = (from: number, bytes: number, digits: number) => {
      for (let digit = 0; digit < digits; digit++) {
        const power = POWERS_OF_THREE[digit]!
        for (let index = 0; index < bytes; index++)
          out[to++] = (((((raw[from + index]! * power) & 255) * 3) >> 8) - 1) * scale
      }
    }
    unpack(at, 32, 5)
    unpack(at + 32, 16, 5)
    unpack(at + 48, 4, 4)
  }
}

/** [2-bit ternary values 64][scale] */
export const tq2_0: BlockReader = (raw, blocks, out) => {
  const half = halfValues()
  for (let block = 0, at = 0, to = 0; block < blocks; block++, at += 66) {
    const scale = half[raw[at + 64]! | (raw[at + 65]! << 8)]!
    for (let group = 0; group < 8; group++) {
      const from = at + (group >> 2) * 32
      const shift = (group & 3) * 2
      for (let index = 0; index < 32; index++) out[to++] = (((raw[from + index]! >> shift) & 3) - 1) * scale
    }
  }
}
