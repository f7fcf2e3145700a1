/** A GGUF file's header: metadata and tensor table, bounds-checked before anything is allocated. */

import type { TensorType } from "../weights.ts"
import { type ByteReader, createByteReader } from "./byte-reader.ts"
import type { FileSource } from "./file-source.ts"
import { formatError, shown, unsupportedError } from "./format-error.ts"
import { tensorBytes, typeOfGgufId } from "./tensor-types.ts"

/** number | bigint (64-bit values doubles cannot hold) | boolean | string, or a flat array of one of them. */
export type GgufValue = number | bigint | boolean | string | GgufValue[]

export interface GgufTensor {
  /** As the file says it. */
  readonly name: string
  /** Row-major, outermost first: GGUF's dimensions reversed. */
  readonly shape: readonly number[]
  readonly type: TensorType
  /** From the start of the file. */
  readonly offset: number
  readonly bytes: number
}

export interface GgufHeader {
  readonly version: number
  readonly metadata: ReadonlyMap<string, GgufValue>
  readonly tensors: ReadonlyMap<string, GgufTensor>
}

const MAGIC = 0x46554747 // "GGUF"
const LONGEST_HEADER = 256 * 2 ** 20 // the largest seen (262k tokens with merges) is about 16 MB
const LONGEST_KEY = 65_535
const LONGEST_NAME = 255 // llama.cpp allows 63
const SMALLEST_ENTRY = 13 // a key's length, a type, one byte
const SMALLEST_TENSOR = 8 + 1 + 4 + 8 + 4 + 8
const DEEPEST_SHAPE = 4
const STRING = 8
const ARRAY = 9

interface Scalar {
  readonly bytes: number
  read(reader: ByteReader): GgufValue
}
const SCALARS = new Map<number, Scalar>([
  [0, { bytes: 1, read: (reader) => reader.u8() }],
  [1, { bytes: 1, read: (reader) => reader.i8() }],
  [2, { bytes: 2, read: (reader) => reader.u16() }],
  [3, { bytes: 2, read: (reader) => reader.i16() }],
  [4, { bytes: 4, read: (reader) => reader.u32() }],
  [5, { bytes: 4, read: (reader) => reader.i32() }],
  [6, { bytes: 4, read: (reader) => reader.f32() }],
  [7, { bytes: 1, read: (reader) => reader.u8() !== 0 }],
  [STRING, { bytes: 8, read: (reader) => reader.string("a string") }],
  [10, { bytes: 8, read: (reader) => reader.u64() }],
  [11, { bytes: 8, read: (reader) => reader.i64() }],
  [12, { bytes: 8, read: (reader) => reader.f64() }],
])

/** @throws ForerunError E_MODEL_FORMAT, E_MODEL_UNSUPPORTED */
export function readGgufHeader(source: FileSource): GgufHeader {
  const reader = createByteReader(source, LONGEST_HEADER)
  const { path } = source
  const magic = reader.u32()
  if (magic !== MAGIC) throw formatError(`${path}: needed the magic "GGUF", found 0x${magic.toString(16)}`)
  const version = reader.u32()
  if (version > 0xffff && (version & 0xffff) === 0)
    throw unsupportedError(`${path}: big-endian GGUF; only little-endian files are read`)
  if (version !== 2 && version !== 3)
    throw unsupportedError(`${path}: GGUF version ${version}; versions 2 and 3 are read`)
  const tensorCount = reader.count("the number of tensors", SMALLEST_TENSOR)
  const entryCount = reader.count("the number of metadata entries", SMALLEST_ENTRY)

  const metadata = new Map<string, GgufValue>()
  for (let index = 0; index < entryCount; index++) {
    const key = reader.string("a metadata key", LONGEST_KEY)
    if (metadata.has(key)) throw formatError(`${path}: the metadata key ${shown(key)} appears twice`)
    metadata.set(key, readValue(reader, path, key))
  }
  const tables = readTensorTable(reader, path, tensorCount)
  const alignment = alignmentOf(metadata, path)
  const dataStart = Math.ceil(reader.position / alignment) * alignment
  return { version, metadata, tensors: placeTensors(tables, dataStart, alignment, source) }
}

function readValue(reader: ByteReader, path: string, key: string): GgufValue {
  const type = reader.u32()
  if (type !== ARRAY) return scalarOf(type, path, key).read(reader)
  const element = reader.u32()
  if (element === ARRAY) throw unsupportedError(`${path}: ${shown(key)} is an array of arrays; only flat ones are read`)
  const scalar = scalarOf(element, path, key)
  const count = reader.count(`the length of the array ${shown(key)}`, scalar.bytes)
  const values: GgufValue[] = []
  for (let index = 0; index < count; index++) values.push(scalar.read(reader))
  return values
}

function scalarOf(type: number, path: string, key: string): Scalar {
  const scalar = SCALARS.get(type)
  if (scalar === undefined) throw formatError(`${path}: ${shown(key)} has the unknown value type ${type}`)
  return scalar
}

function alignmentOf(metadata: ReadonlyMap<string, GgufValue>, path: string): number {
  const alignment = metadata.get("general.alignment") ?? 32
  const fits = typeof alignment === "number" && alignment >= 1 && alignment <= 2 ** 20 && Number.isInteger(alignment)
  if (!fits || (alignment & (alignment - 1)) !== 0)
    throw formatError(`${path}: general.alignment needs a power of two up to 2^20, found ${String(alignment)}`)
  return alignment
}

interface TableEntry {
  readonly name: string
  readonly shape: readonly number[]
  readonly type: TensorType
  readonly relativeOffset: number
}

function readTensorTable(reader: ByteReader, path: string, count: number): TableEntry[] {
  const entries: TableEntry[] = []
  const names = new Set<string>()
  for (let index = 0; index < count; index++) {
    const name = reader.string("a tensor name", LONGEST_NAME)
    if (names.has(name)) throw formatError(`${path}: the tensor ${shown(name)} appears twice`)
    names.add(name)
    const rank = reader.u32()
    if (rank < 1 || rank > DEEPEST_SHAPE)
      throw formatError(`${path}: tensor ${shown(name)} needs 1 to ${DEEPEST_SHAPE} dimensions, found ${rank}`)
    const shape: number[] = []
    for (let axis = 0; axis < rank; axis++) shape.unshift(exact(reader.u64(), path, `a dimension of ${shown(name)}`))
    const id = reader.u32()
    const type = typeOfGgufId(id)
    if (type === undefined) throw unsupportedError(`${path}: tensor ${shown(name)} has the unknown type ${id}`)
    const relativeOffset = exact(reader.u64(), path, `the offset of ${shown(name)}`)
    entries.push({ name, shape, type, relativeOffset })
  }
  return entries
}

function exact(value: number | bigint, path: string, what: string): number {
  if (typeof value === "bigint") throw formatError(`${path}: ${what} is ${value}, larger than any file`)
  return value
}

function placeTensors(
  entries: readonly TableEntry[],
  dataStart: number,
  alignment: number,
  source: FileSource,
): ReadonlyMap<string, GgufTensor> {
  const tensors = new Map<string, GgufTensor>()
  for (const { name, shape, type, relativeOffset } of entries) {
    const bytes = tensorBytes(shown(name), type, shape)
    const offset = dataStart + relativeOffset
    if (relativeOffset % alignment !== 0)
      throw formatError(`${source.path}: tensor ${shown(name)} is at ${relativeOffset}, not a multiple of ${alignment}`)
    if (!Number.isSafeInteger(offset + bytes) || offset + bytes > source.size)
      throw formatError(
        `${source.path}: tensor ${shown(name)} needs bytes ${offset}..${offset + bytes}, the file has ${source.size}`,
      )
    tensors.set(name, { name, shape, type, offset, bytes })
  }
  const inOrder = [...tensors.values()].sort((a, b) => a.offset - b.offset)
  for (let index = 1; index < inOrder.length; index++) {
    const before = inOrder[index - 1]!
    const after = inOrder[index]!
    if (before.offset + before.bytes > after.offset)
      throw formatError(`${source.path}: tensors ${shown(before.name)} and ${shown(after.name)} overlap`)
  }
  return tensors
}
