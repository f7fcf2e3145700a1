/** Blocks of 256 values in 8 or 16 groups, each group with its own small scale: Q2_K to Q6_K. */

import type { BlockReader } from "./dequantise.ts"
import { halfValues } from "./half.ts"

/** [scales 16][2-bit values 64][scale][least] */
export const q2k: BlockReader = (raw, blocks, out) => {
  const half = halfValues()
  for (let block = 0, at = 0, to = 0; block < blocks; block++, at += 84) {
    const scale = half[raw[at + 80]! | (raw[at + 81]! << 8)]!
    const least = half[raw[at + 82]! | (raw[at + 83]! << 8)]!
    for (let group = 0; group < 16; group++) {
      const packed = raw[at + group]!
      const groupScale = scale * (packed & 15)
      const groupLeast = least * (packed >> 4)
      const from = at + 16 + (group >> 3) * 32 + (group & 1) * 16
      const shift = ((group >> 1) & 3) * 2
      for (let index = 0; index < 16; index++) out[to++] = groupScale * ((raw[from + index]! >> shift) & 3) - groupLeast
    }
  }
}

/** [third bits 32][2-bit values 64][6-bit scales 12][scale] */
export const q3k: BlockReader = (raw, blocks, out) => {
  const half = halfValues()
  for (let block = 0, at = 0, to = 0; block < blocks; block++, at += 110) {
    const scale = half[raw[at + 108]! | (raw[at + 109]! << 8)]!
    for (let group = 0; group < 16; group++) {
      const low = group < 8 ? raw[at + 96 + group]! & 15 : raw[at + 88 + group]! >> 4
      const high = (raw[at + 104 + (group & 3)]! >> (2 * (group >> 2))) & 3
      const groupScale = scale * ((low | (high << 4)) - 32)
      const within = (group & 1) * 16
      const from = at + 32 + (group >> 3) * 32 + within
      const shift = ((group >> 1) & 3) * 2
      const third = 1 << (group >> 1)
      for (let index = 0; index < 16; index++) {
        const minus = raw[at + within + index]! & third ? 0 : 4
        out[to++] = groupScale * (((raw[from + index]! >> shift) & 3) - minus)
      }
    }
  }
}

/** Scale and least of group `group`, 6 bits each, from the 12 bytes at `at`: low half of the result and high half. */
function scaleAndLeast(raw: Uint8Array, at: number, group: number): number {
  if (group < 4) return (raw[at + group]! & 63) | ((raw[at + group + 4]! & 63) << 8)
  const both = raw[at + group + 4]!
  const scale = (both & 15) | ((raw[at + group - 4]! >> 6) << 4)
  const least = (both >> 4) | ((raw[at + group]! >> 6) << 4)
  return scale | (least << 8)
}

/** [scale][least][6-bit scales and leasts 12][4-bit values 128] */
export const q4k: BlockReader = (raw, blocks, out) => {
  const half = halfValues()
  for (let block = 0, at = 0, to = 0; block < blocks; block++, at += 144) {
    const scale = half[raw[at]! | (raw[at + 1]! << 8)]!
    const least = half[raw[at + 2]! | (raw[at + 3]! << 8)]!
    for (let group = 0; group < 8; group++) {
      const packed = scaleAndLeast(raw, at + 4, group)
      const groupScale = scale * (packed & 63)
      const groupLeast = least * (packed >> 8)
      const from = at + 16 + (group >> 1) * 32
      const shift = (group & 1) * 4
      for (let index = 0; index < 32; index++)
        out[to++] = groupScale * ((raw[from + index]! >> shift) & 15) - groupLeast
    }
  }
}

/** [scale][least][6-bit scales and leasts 12][fifth bits 32][4-bit values 128] */
export const q5k: BlockReader = (raw, blocks, out) => {
  const half = halfValues()
  for (let block = 0, at = 0, to = 0; block < blocks; block++, at += 176) {
    const scale = half[raw[at]! | (raw[at + 1]! << 8)]!
    const least = half[raw[at + 2]! | (raw[at + 3]! << 8)]!
    for (let group = 0; group < 8; group++) {
      const packed = scaleAndLeast(raw, at + 4, group)
      const groupScale = scale * (packed & 63)
      const groupLeast = least * (packed >> 8)
      const from = at + 48 + (group >> 1) * 32
      const shift = (group & 1) * 4
      for (let index = 0; index < 32; index++) {
        const fifth = ((raw[at + 16 + index]! >> group) & 1) << 4
        out[to++] = groupScale * (((raw[from + index]! >> shift) & 15) | fifth) - groupLeast
      }
    }
  }
}

/** [low 4 bits 128][high 2 bits 64][signed scales 16][scale] */
export const q6k: BlockReader = (raw, blocks, out) => {
  const half = halfValues()
  for (let block = 0, at = 0, to = 0; block < blocks; block++, at += 210) {
    const scale = half[raw[at + 208]! | (raw[at + 209]! << 8)]!
    for (let group = 0; group < 16; group++) {
      const groupScale = scale * ((raw[at + 192 + group]! << 24) >> 24)
      const quarter = (group >> 1) & 3 // of the 128 values in this half of the block
      const within = (group & 1) * 16
      const low = at + (group >> 3) * 64 + (quarter & 1) * 32 + within
      const high = at + 128 + (group >> 3) * 32 + within
      const lowShift = (quarter >> 1) * 4
      for (let index = 0; index < 16; index++) {
        const value = ((raw[low + index]! >> lowShift) & 15) | (((raw[high + index]! >> (2 * quarter)) & 3) << 4)
        out[to++] = groupScale * (value - 32)
      }
    }
  }
}
