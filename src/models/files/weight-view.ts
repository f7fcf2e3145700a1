/** Tensors in files, presented under canonical names and in canonical layout. */

import { ForerunError } from "../../base/errors.ts"
import type { TensorInfo, TensorType, WeightSource } from "../weights.ts"
import { dequantise } from "./dequantise.ts"
import type { FileSource } from "./file-source.ts"
import { formatError, shown, unsupportedError } from "./format-error.ts"
import { blockSize } from "./tensor-types.ts"

/** Where a canonical tensor lies and what has to be done to its bytes. */
export interface StoredTensor {
  readonly info: TensorInfo
  readonly source: FileSource
  readonly offset: number
  /** Makes canonical bytes from stored ones; may work in place. */
  readonly change?: (stored: Uint8Array<ArrayBuffer>) => Uint8Array<ArrayBuffer>
}

export function viewWeights(stored: ReadonlyMap<string, StoredTensor>, sources: readonly FileSource[]): WeightSource {
  let open = true
  const tensors = new Map([...stored].map(([name, { info }]) => [name, info]))
  const find = (name: string): StoredTensor => {
    if (!open) throw new ForerunError("E_DISPOSED", `tensor ${name}: the checkpoint is closed`)
    const found = stored.get(name)
    if (found === undefined) throw formatError(`tensor ${shown(name)} is not in the checkpoint (${stored.size} are)`)
    return found
  }
  const raw = (name: string): Uint8Array<ArrayBuffer> => {
    const { info, source, offset, change } = find(name)
    const bytes = source.read(offset, info.bytes)
    return change === undefined ? bytes : change(bytes)
  }
  return {
    tensors,
    raw,
    float32: (name) => {
      const { type, shape } = find(name).info
      return dequantise(
        type,
        raw(name),
        shape.reduce((product, size) => product * size, 1),
      )
    },
    close: () => {
      open = false
      for (const source of sources) source.close()
    },
  }
}

/**
 * llama.cpp's converter interleaves the halves of every head of Q and K: its row h·size + 2j + i is Hugging Face's row
 * h·size + i·size/2 + j. Whole rows move back, so quantised blocks stay as they are.
 */
export function uninterleaveHeads(
  rows: number,
  heads: number,
): (stored: Uint8Array<ArrayBuffer>) => Uint8Array<ArrayBuffer> {
  const size = rows / heads
  const half = size / 2
  return (stored) => {
    const rowBytes = stored.length / rows
    const result = new Uint8Array(stored.length)
    for (let head = 0; head < heads; head++)
      for (let row = 0; row < size; row++) {
        const from = (head * size + 2 * (row % half) + Math.floor(row / half)) * rowBytes
        result.set(stored.subarray(from, from + rowBytes), (head * size + row) * rowBytes)
      }
    return result
  }
}

/** [rows, columns] to [columns, rows], element by element; `width` is an element's bytes. */
export function transpose(
  rows: number,
  columns: number,
  width: number,
): (stored: Uint8Array<ArrayBuffer>) => Uint8Array<ArrayBuffer> {
  return (stored) => {
    if (width === 4) return new Uint8Array(transposed(new Uint32Array(stored.buffer), rows, columns).buffer)
    return new Uint8Array(transposed(new Uint16Array(stored.buffer), rows, columns).buffer)
  }
}

function transposed<T extends Uint32Array<ArrayBuffer> | Uint16Array<ArrayBuffer>>(
  from: T,
  rows: number,
  columns: number,
): T {
  const to = from.slice() as T
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < columns; column++) to[column * rows + row] = from[row * columns + column]!
  return to
}

/** Takes away the 1 that llama.cpp's converter adds to gemma's norms, in float32. */
export function minusOne(name: string, type: TensorType): (stored: Uint8Array<ArrayBuffer>) => Uint8Array<ArrayBuffer> {
  if (type !== "F32") throw unsupportedError(`tensor ${name}: gemma norms need type F32, found ${type}`)
  return (stored) => {
    const values = new Float32Array(stored.buffer)
    for (let index = 0; index < values.length; index++) values[index] = values[index]! - 1
    return stored
  }
}

/** Whether a type's values can be moved one by one. */
export const isPlain = (type: TensorType): boolean => blockSize(type) === 1
