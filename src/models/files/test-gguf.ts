/** Writes GGUF files for tests, honest or with lies built in; not part of the package. */

import type { TensorType } from "../weights.ts"
import { openCheckpoint } from "./checkpoint.ts"

export type TestValue = readonly [type: number, value: number | bigint | boolean | string | readonly TestValue[]]

export interface TestTensor {
  readonly name: string
  /** GGUF's order: innermost first. */
  readonly dimensions: readonly (number | bigint)[]
  readonly type: number
  readonly data: Uint8Array
  /** Told instead of the true offset. */
  readonly offset?: number | bigint
}

export interface TestGguf {
  readonly magic?: string
  readonly version?: number
  readonly metadata: readonly (readonly [string, TestValue])[]
  readonly tensors: readonly TestTensor[]
  readonly alignment?: number
  readonly tensorCount?: bigint
  readonly entryCount?: bigint
}

export const u32 = (value: number): TestValue => [4, value]
export const f32 = (value: number): TestValue => [6, value]
export const text = (value: string): TestValue => [8, value]
export const texts = (values: readonly string[]): TestValue => [9, values.map(text)]

/** The file, and where each field of its header ends (for truncation). */
export function writeGguf(gguf: TestGguf): { bytes: Buffer; boundaries: number[] } {
  const pieces: Buffer[] = []
  const boundaries: number[] = []
  let length = 0
  const put = (bytes: Buffer) => {
    pieces.push(bytes)
    length += bytes.length
    boundaries.push(length)
  }
  const number = (bytes: number, write: (buffer: Buffer) => void) => {
    const buffer = Buffer.alloc(bytes)
    write(buffer)
    put(buffer)
  }
  const word = (value: number) => number(4, (buffer) => buffer.writeUInt32LE(value >>> 0))
  const long = (value: number | bigint) =>
    number(8, (buffer) => buffer.writeBigUInt64LE(BigInt.asUintN(64, BigInt(value))))
  const string = (value: string) => {
    const bytes = Buffer.from(value)
    long(bytes.length)
    put(bytes)
  }
  const scalar = ([type, value]: TestValue): void => {
    if (type === 8) string(String(value))
    else if (type === 9) {
      const values = value as readonly TestValue[]
      word(values[0]?.[0] ?? 4)
      long(values.length)
      for (const each of values) scalar(each)
    } else if (type === 6) number(4, (buffer) => buffer.writeFloatLE(Number(value)))
    else if (type === 12) number(8, (buffer) => buffer.writeDoubleLE(Number(value)))
    else if (type === 10 || type === 11) long(BigInt(value as number | bigint))
    else if (type === 0 || type === 1 || type === 7) number(1, (buffer) => buffer.writeUInt8(Number(value) & 255))
    else if (type === 2 || type === 3) number(2, (buffer) => buffer.writeUInt16LE(Number(value) & 65_535))
    else word(Number(value))
  }

  put(Buffer.from(gguf.magic ?? "GGUF", "latin1"))
  word(gguf.version ?? 3)
  long(gguf.tensorCount ?? gguf.tensors.length)
  long(gguf.entryCount ?? gguf.metadata.length)
  for (const [key, value] of gguf.metadata) {
    string(key)
    word(value[0])
    scalar(value)
  }
  const alignment = gguf.alignment ?? 32
  const pad = (size: number) => (alignment - (size % alignment)) % alignment
  let offset = 0
  for (const tensor of gguf.tensors) {
    string(tensor.name)
    word(tensor.dimensions.length)
    for (const size of tensor.dimensions) long(size)
    word(tensor.type)
    long(tensor.offset ?? offset)
    offset += tensor.data.length + pad(tensor.data.length)
  }
  put(Buffer.alloc(pad(length)))
  for (const { data } of gguf.tensors) {
    put(Buffer.from(data))
    put(Buffer.alloc(pad(data.length)))
  }
  return { bytes: Buffer.concat(pieces), boundaries: [...new Set(boundaries)] }
}

export const F32_ID = 0

/** A Hugging Face golden folder as GGUF tensors, laid out the way llama.cpp's converter does. */
export function convertFolder(folder: string, nameOf: (canonical: string) => string): TestTensor[] {
  const checkpoint = openCheckpoint(folder)
  const { config, weights } = checkpoint
  const tensors = [...weights.tensors.values()].map(({ name, shape, type }): TestTensor => {
    const values = weights.float32(name)
    const projection = /\.self_attn\.([qk])_proj\./.exec(name)?.[1]
    if ((config.family === "llama" || config.family === "mistral") && projection !== undefined)
      interleave(values, shape[0]!, projection === "q" ? config.heads : config.kvHeads)
    if (config.family.startsWith("gemma") && name.endsWith("norm.weight"))
      for (let index = 0; index < values.length; index++) values[index] = values[index]! + 1
    assertFloat(type)
    return { name: nameOf(name), dimensions: shape.toReversed(), type: F32_ID, data: new Uint8Array(values.buffer) }
  })
  checkpoint.close()
  return tensors
}

function assertFloat(type: TensorType): void {
  if (type !== "F32") throw new Error(`the goldens are F32, found ${type}`)
}

/** HF row (head, half, j) goes to row (head, j, half). */
function interleave(values: Float32Array, rows: number, heads: number): void {
  const width = values.length / rows
  const size = rows / heads
  const copy = values.slice()
  for (let row = 0; row < rows; row++) {
    const head = Math.floor(row / size)
    const half = Math.floor((row % size) / (size / 2))
    const to = head * size + 2 * (row % (size / 2)) + half
    values.set(copy.subarray(row * width, (row + 1) * width), to * width)
  }
}
