/** Exact float32 values of stored tensors, for every type in use. */

import type { TensorType } from "../weights.ts"
import { iq1m, iq1s, iq2s, iq2xs, iq2xxs, iq3s, iq3xxs } from "./dequantise-iq.ts"
import { q2k, q3k, q4k, q5k, q6k } from "./dequantise-k.ts"
import { q4_0, q4_1, q5_0, q5_1, q8_0 } from "./dequantise-legacy.ts"
import { iq4nl, iq4xs, mxfp4, nvfp4, tq1_0, tq2_0 } from "./dequantise-small.ts"
import { formatError, unsupportedError } from "./format-error.ts"
import { halfBits } from "./half.ts"
import { blockSize, typeBytes } from "./tensor-types.ts"

export { blockSize, typeBytes } from "./tensor-types.ts"

/** Writes the values of the first `blocks` blocks of `raw` to `out`. */
export type BlockReader = (raw: Uint8Array, blocks: number, out: Float32Array<ArrayBuffer>) => void

const f32: BlockReader = (raw, count, out) => {
  new Uint8Array(out.buffer).set(raw.subarray(0, count * 4))
}
// Through integers, so that the payload of a NaN survives.
const f16: BlockReader = (raw, count, out) => {
  const table = halfBits()
  const bits = new Uint32Array(out.buffer)
  for (let index = 0; index < count; index++) bits[index] = table[raw[2 * index]! | (raw[2 * index + 1]! << 8)]!
}
const bf16: BlockReader = (raw, count, out) => {
  const bits = new Uint32Array(out.buffer)
  for (let index = 0; index < count; index++) bits[index] = (raw[2 * index]! << 16) | (raw[2 * index + 1]! << 24)
}

const READERS = new Map<TensorType, BlockReader>([
  ["F32", f32],
  ["F16", f16],
  ["BF16", bf16],
  ["Q4_0", q4_0],
  ["Q4_1", q4_1],
  ["Q5_0", q5_0],
  ["Q5_1", q5_1],
  ["Q8_0", q8_0],
  ["Q2_K", q2k],
  ["Q3_K", q3k],
  ["Q4_K", q4k],
  ["Q5_K", q5k],
  ["Q6_K", q6k],
  ["IQ1_S", iq1s],
  ["IQ1_M", iq1m],
  ["IQ2_XXS", iq2xxs],
  ["IQ2_XS", iq2xs],
  ["IQ2_S", iq2s],
  ["IQ3_XXS", iq3xxs],
  ["IQ3_S", iq3s],
  ["IQ4_NL", iq4nl],
  ["IQ4_XS", iq4xs],
  ["TQ1_0", tq1_0],
  ["TQ2_0", tq2_0],
  ["MXFP4", mxfp4],
  ["NVFP4", nvfp4],
])

/** Whether `dequantise` knows the type. */
export const canDequantise = (type: TensorType): boolean => READERS.has(type)

/**
 * @param raw whole blocks, at least as many as `count` values need; any alignment
 * @param count values wanted, a multiple of `blockSize(type)`
 * @returns `count` values, the same bits that ggml's reference gives
 * @throws ForerunError E_MODEL_UNSUPPORTED, E_MODEL_FORMAT
 */
export function dequantise(type: TensorType, raw: Uint8Array, count: number): Float32Array<ArrayBuffer> {
  const read = READERS.get(type)
  if (read === undefined) throw unsupportedError(`tensor type ${type} cannot be used as weights`)
  const blocks = count / blockSize(type)
  const needed = blocks * typeBytes(type)
  if (!Number.isInteger(blocks))
    throw formatError(`${type} needs a multiple of ${blockSize(type)} values, found ${count}`)
  if (raw.length < needed) throw formatError(`${count} values of ${type} need ${needed} bytes, found ${raw.length}`)
  const out = new Float32Array(count)
  read(raw, blocks, out)
  return out
}
