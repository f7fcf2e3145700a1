/** Tensor storage types: how many values a block holds, how many bytes it takes, and GGUF's number for it. */

import type { TensorType } from "../weights.ts"
import { formatError } from "./format-error.ts"

// [type, values a block, bytes a block, GGUF id]. Ids not listed were withdrawn from the format or are unknown.
const TYPES: readonly (readonly [TensorType, number, number, number | undefined])[] = [
  ["F32", 1, 4, 0],
  ["F16", 1, 2, 1],
  ["Q4_0", 32, 18, 2],
  ["Q4_1", 32, 20, 3],
  ["Q5_0", 32, 22, 6],
  ["Q5_1", 32, 24, 7],
  ["Q8_0", 32, 34, 8],
  ["Q8_1", 32, 36, 9],
  ["Q2_K", 256, 84, 10],
  ["Q3_K", 256, 110, 11],
  ["Q4_K", 256, 144, 12],
  ["Q5_K", 256, 176, 13],
  ["Q6_K", 256, 210, 14],
  ["Q8_K", 256, 292, 15],
  ["IQ2_XXS", 256, 66, 16],
  ["IQ2_XS", 256, 74, 17],
  ["IQ3_XXS", 256, 98, 18],
  ["IQ1_S", 256, 50, 19],
  ["IQ4_NL", 32, 18, 20],
  ["IQ3_S", 256, 110, 21],
  ["IQ2_S", 256, 82, 22],
  ["IQ4_XS", 256, 136, 23],
  ["I8", 1, 1, 24],
  ["I16", 1, 2, 25],
  ["I32", 1, 4, 26],
  ["I64", 1, 8, 27],
  ["F64", 1, 8, 28],
  ["IQ1_M", 256, 56, 29],
  ["BF16", 1, 2, 30],
  ["TQ1_0", 256, 54, 34],
  ["TQ2_0", 256, 66, 35],
  ["MXFP4", 32, 17, 39],
  ["NVFP4", 64, 36, 40],
  ["Q1_0", 128, 18, 41],
  ["U8", 1, 1, undefined],
  ["BOOL", 1, 1, undefined],
]

const SIZES = new Map(TYPES.map(([type, values, bytes]) => [type, { values, bytes }]))
const BY_GGUF_ID = new Map(TYPES.flatMap(([type, , , id]) => (id === undefined ? [] : [[id, type] as const])))

function sizesOf(type: TensorType): { values: number; bytes: number } {
  const sizes = SIZES.get(type)
  if (sizes === undefined) throw formatError(`tensor type ${type} has no known block size`)
  return sizes
}

/** Values in one block; 1 for plain types. @throws ForerunError E_MODEL_FORMAT when the type is not known */
export const blockSize = (type: TensorType): number => sizesOf(type).values

/** Bytes of one block. @throws ForerunError E_MODEL_FORMAT when the type is not known */
export const typeBytes = (type: TensorType): number => sizesOf(type).bytes

/** The type of a GGUF id, undefined when unknown. */
export const typeOfGgufId = (id: number): TensorType | undefined => BY_GGUF_ID.get(id)

/**
 * Bytes of a row-major tensor (the last dimension is contiguous and must hold whole blocks).
 * Every product is checked, so absurd dimensions end in an error and never in a wrapped number.
 * @throws ForerunError E_MODEL_FORMAT
 */
export function tensorBytes(name: string, type: TensorType, shape: readonly number[]): number {
  const { values, bytes } = sizesOf(type)
  let count = 1
  for (const size of shape) {
    if (!Number.isSafeInteger(size) || size < 1)
      throw formatError(`tensor ${name}: every dimension must be at least 1, found [${shape.join(", ")}]`)
    count *= size
    if (!Number.isSafeInteger(count * bytes))
      throw formatError(`tensor ${name}: shape [${shape.join(", ")}] is larger than any file`)
  }
  const inner = shape.at(-1) ?? 1
  if (inner % values !== 0)
    throw formatError(`tensor ${name}: ${type} needs rows of a multiple of ${values} values, found ${inner}`)
  return (count / values) * bytes
}
