/**
 * Blocks of 32 values with one scale: Q4_0, Q4_1, Q5_0, Q5_1, Q8_0.
 *
 * Arithmetic here and in the sibling files is in doubles and rounds once, on the store. That gives the reference's
 * float32 results bit for bit, because every product before the last operation has few enough bits to be exact.
 */

import type { BlockReader } from "./dequantise.ts"
import { halfValues } from "./half.ts"

export const q4_0: BlockReader = (raw, blocks, out) => {
  const half = halfValues()
  for (let block = 0, at = 0, to = 0; block < blocks; block++, at += 18, to += 32) {
    const scale = half[raw[at]! | (raw[at + 1]! << 8)]!
    for (let index = 0; index < 16; index++) {
      const pair = raw[at + 2 + index]!
      out[to + index] = ((pair & 15) - 8) * scale
      out[to + 16 + index] = ((pair >> 4) - 8) * scale
    }
  }
}

export const q4_1: BlockReader = (raw, blocks, out) => {
  const half = halfValues()
  for (let block = 0, at = 0, to = 0; block < blocks; block++, at += 20, to += 32) {
    const scale = half[raw[at]! | (raw[at + 1]! << 8)]!
    const least = half[raw[at + 2]! | (raw[at + 3]! << 8)]!
    for (let index = 0; index < 16; index++) {
      const pair = raw[at + 4 + index]!
      out[to + index] = (pair & 15) * scale + least
      out[to + 16 + index] = (pair >> 4) * scale + least
    }
  }
}

export const q5_0: BlockReader = (raw, blocks, out) => {
  const half = halfValues()
  for (let block = 0, at = 0, to = 0; block < blocks; block++, at += 22, to += 32) {
    const scale = half[raw[at]! | (raw[at + 1]! << 8)]!
    const fifth = raw[at + 2]! | (raw[at + 3]! << 8) | (raw[at + 4]! << 16) | (raw[at + 5]! << 24)
    for (let index = 0; index < 16; index++) {
      const pair = raw[at + 6 + index]!
      out[to + index] = (((pair & 15) | (((fifth >> index) & 1) << 4)) - 16) * scale
      out[to + 16 + index] = (((pair >> 4) | (((fifth >> (index + 16)) & 1) << 4)) - 16) * scale
    }
  }
}

export const q5_1: BlockReader = (raw, blocks, out) => {
  const half = halfValues()
  for (let block = 0, at = 0, to = 0; block < blocks; block++, at += 24, to += 32) {
    const scale = half[raw[at]! | (raw[at + 1]! << 8)]!
    const least = half[raw[at + 2]! | (raw[at + 3]! << 8)]!
    const fifth = raw[at + 4]! | (raw[at + 5]! << 8) | (raw[at + 6]! << 16) | (raw[at + 7]! << 24)
    for (let index = 0; index < 16; index++) {
      const pair = raw[at + 8 + index]!
      out[to + index] = ((pair & 15) | (((fifth >> index) & 1) << 4)) * scale + least
      out[to + 16 + index] = ((pair >> 4) | (((fifth >> (index + 16)) & 1) << 4)) * scale + least
    }
  }
}

export const q8_0: BlockReader = (raw, blocks, out) => {
  const half = halfValues()
  for (let block = 0, at = 0, to = 0; block < blocks; block++, at += 34, to += 32) {
    const scale = half[raw[at]! | (raw[at + 1]! << 8)]!
    for (let index = 0; index < 32; index++) out[to + index] = ((raw[at + 2 + index]! << 24) >> 24) * scale
  }
}
