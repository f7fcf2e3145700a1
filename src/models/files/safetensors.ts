/** A safetensors file's header, strictly checked: dtype times shape is the length, no holes, no overlap, nothing after. */

import type { TensorType } from "../weights.ts"
import type { FileSource } from "./file-source.ts"
import { formatError, shown, unsupportedError } from "./format-error.ts"
import { type Json, type JsonObject, kindOf, parseJsonObject } from "./json.ts"
import { tensorBytes } from "./tensor-types.ts"

export interface SafetensorsEntry {
  readonly name: string
  readonly shape: readonly number[]
  readonly type: TensorType
  /** From the start of the file. */
  readonly offset: number
  readonly bytes: number
}

const LONGEST_HEADER = 100_000_000 // the reference implementation's limit
const LENGTH_BYTES = 8
const DTYPES = new Set<string>(["F32", "F16", "BF16", "F64", "I8", "I16", "I32", "I64", "U8", "BOOL"])
const OTHER_DTYPES = new Set(["U16", "U32", "U64", "F8_E4M3", "F8_E5M2", "F8_E8M0", "F4", "F6_E2M3", "F6_E3M2", "C64"])
const KEYS = new Set(["dtype", "shape", "data_offsets"])

/** @throws ForerunError E_MODEL_FORMAT, E_MODEL_UNSUPPORTED */
export function readSafetensorsHeader(source: FileSource): Map<string, SafetensorsEntry> {
  const { path, size } = source
  if (size < LENGTH_BYTES) throw formatError(`${path}: a safetensors file has at least 8 bytes, found ${size}`)
  const announced = new DataView(source.read(0, LENGTH_BYTES).buffer).getBigUint64(0, true)
  const most = Math.min(LONGEST_HEADER, size - LENGTH_BYTES)
  if (announced > BigInt(most)) throw formatError(`${path}: the header claims ${announced} bytes, at most ${most} fit`)
  const length = Number(announced)
  const bytes = source.read(LENGTH_BYTES, length)
  if (bytes[0] !== 0x7b) throw formatError(`${path}: the header must start with "{"`)
  const header = parseJsonObject(decode(bytes, path), path, formatError)

  const entries: SafetensorsEntry[] = []
  const dataStart = LENGTH_BYTES + length
  for (const [name, value] of header) {
    if (name === "__metadata__") checkMetadata(value, path)
    else entries.push(readEntry(name, value, dataStart, path))
  }
  checkContiguous(entries, dataStart, size, path)
  return new Map(entries.map((entry) => [entry.name, entry]))
}

function decode(bytes: Uint8Array, path: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    throw formatError(`${path}: the header is not UTF-8`)
  }
}

function checkMetadata(value: Json, path: string): void {
  if (!(value instanceof Map)) throw formatError(`${path}: __metadata__ needs an object, found ${kindOf(value)}`)
  for (const [key, text] of value)
    if (typeof text !== "string")
      throw formatError(`${path}: __metadata__ ${shown(key)} needs a string, found ${kindOf(text)}`)
}

function readEntry(name: string, value: Json, dataStart: number, path: string): SafetensorsEntry {
  if (!(value instanceof Map))
    throw formatError(`${path}: tensor ${shown(name)} needs an object, found ${kindOf(value)}`)
  for (const key of value.keys())
    if (!KEYS.has(key)) throw formatError(`${path}: tensor ${shown(name)} has the unknown key ${shown(key)}`)
  const type = typeOf(name, value, path)
  const shape = integers(value.get("shape"))
  if (shape === undefined)
    throw formatError(`${path}: tensor ${shown(name)} needs a shape of integers, found ${kindOf(value.get("shape"))}`)
  const offsets = integers(value.get("data_offsets"))
  const [begin, end] = offsets ?? []
  if (begin === undefined || end === undefined || offsets?.length !== 2 || end < begin)
    throw formatError(
      `${path}: tensor ${shown(name)} needs data_offsets [begin, end], found ${kindOf(value.get("data_offsets"))}`,
    )
  const bytes = tensorBytes(shown(name), type, shape)
  if (end - begin !== bytes)
    throw formatError(
      `${path}: tensor ${shown(name)} needs ${bytes} bytes for ${type} [${shape.join(", ")}], found ${end - begin}`,
    )
  return { name, shape, type, offset: dataStart + begin, bytes }
}

function typeOf(name: string, value: JsonObject, path: string): TensorType {
  const dtype = value.get("dtype")
  if (typeof dtype !== "string")
    throw formatError(`${path}: tensor ${shown(name)} needs a dtype, found ${kindOf(dtype)}`)
  if (DTYPES.has(dtype)) return dtype as TensorType
  if (OTHER_DTYPES.has(dtype))
    throw unsupportedError(`${path}: tensor ${shown(name)} has dtype ${dtype}, which is not supported`)
  throw formatError(`${path}: tensor ${shown(name)} has the unknown dtype ${shown(dtype)}`)
}

function integers(value: Json): number[] | undefined {
  if (!Array.isArray(value)) return undefined
  const whole = value.filter(
    (each): each is number => typeof each === "number" && Number.isSafeInteger(each) && each >= 0,
  )
  return whole.length === value.length ? whole : undefined
}

function checkContiguous(entries: SafetensorsEntry[], dataStart: number, size: number, path: string): void {
  let expected = dataStart
  for (const { name, offset, bytes } of entries.sort((a, b) => a.offset - b.offset)) {
    if (offset !== expected) {
      const kind = offset > expected ? "a hole before" : "an overlap at"
      throw formatError(
        `${path}: ${kind} tensor ${shown(name)}: needed offset ${expected - dataStart}, found ${offset - dataStart}`,
      )
    }
    expected = offset + bytes
  }
  if (expected !== size) throw formatError(`${path}: the tensors end at byte ${expected}, the file at ${size}`)
}
