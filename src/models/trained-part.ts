/** Trained parts of a method (heads, drafters): safetensors with a forerun.json beside them that says where they come from. */
import { mkdir } from "node:fs/promises"
import { join } from "node:path"
import { checkpointHash } from "./files/checkpoint.ts"
import { dequantise } from "./files/dequantise.ts"
import { openFileSource } from "./files/file-source.ts"
import { formatError } from "./files/format-error.ts"
import { type Json, type JsonObject, kindOf } from "./files/json.ts"
import { readSafetensorsHeader } from "./files/safetensors.ts"
import { readJsonFile } from "./files/text-file.ts"
import { toHalf } from "./files/to-half.ts"
import { writeSafetensorsFile, writeWhole } from "./files/write-safetensors.ts"

export const partFile = "weights.safetensors"
export const recordFile = "forerun.json"

/** What forerun.json says of any training: where weights come from. */
export interface TrainingRecord {
  readonly method: string
  /** Options and hyper-parameters it was trained with. */
  readonly recipe: Readonly<Record<string, unknown>>
  readonly metrics: Readonly<Record<string, number>>
  readonly weights: { readonly file: string; readonly sha256: string }
}

/** Of a part, which serves one model. */
export interface PartRecord extends TrainingRecord {
  readonly target: { readonly sha256: string; readonly name?: string }
}

export interface PartTensor {
  readonly shape: readonly number[]
  readonly values: Float32Array
}

export interface TensorToSave extends PartTensor {
  readonly name: string
  /** Default F16. */
  readonly type?: "F32" | "F16"
}

/** Writes the weights, then the record that names them. @returns path and sha256 of the weights */
export const writePart = (
  folder: string,
  tensors: readonly TensorToSave[],
  record: Omit<PartRecord, "weights">,
): Promise<{ file: string; sha256: string }> => writeTrained(folder, { file: partFile, tensors, record })

export interface Trained {
  /** Name of the file that receives the weights. */
  readonly file: string
  readonly tensors: readonly TensorToSave[]
  readonly record: Omit<TrainingRecord, "weights">
}

export async function writeTrained(folder: string, { file: name, tensors, record }: Trained) {
  await mkdir(folder, { recursive: true })
  const file = join(folder, name)
  const sha256 = await writeSafetensorsFile(
    file,
    tensors.map(({ name, shape, values, type = "F16" }) => ({ name, type, shape, data: encoded(values, type) })),
  )
  const whole: TrainingRecord = { ...record, weights: { file: name, sha256 } }
  await writeWhole(join(folder, recordFile), [Buffer.from(`${JSON.stringify(whole, undefined, 2)}\n`)])
  return { file, sha256 }
}

function encoded(values: Float32Array, type: "F32" | "F16"): Uint8Array {
  const array = type === "F16" ? toHalf(values) : values
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength)
}

/** @throws E_MODEL_NOT_FOUND, E_MODEL_FORMAT, E_IO */
export function readPart(folder: string): { record: JsonObject; tensors: Map<string, PartTensor> } {
  const record = readJsonFile(join(folder, recordFile), formatError)
  return { record, tensors: readTensors(join(folder, partFile)) }
}

/** All tensors of a safetensors file as float32. */
export function readTensors(path: string): Map<string, PartTensor> {
  const source = openFileSource(path)
  try {
    const entries = [...readSafetensorsHeader(source).values()]
    return new Map(
      entries.map(({ name, type, shape, offset, bytes }) => {
        const count = shape.reduce((n, dim) => n * dim, 1)
        return [name, { shape, values: dequantise(type, source.read(offset, bytes), count) }]
      }),
    )
  } finally {
    source.close()
  }
}

/** The record of a part or of a model, checked. @throws E_MODEL_NOT_FOUND, E_MODEL_FORMAT, E_IO */
export function readTrainingRecord(folder: string): TrainingRecord & Partial<Pick<PartRecord, "target">> {
  const path = join(folder, recordFile)
  const json = readJsonFile(path, formatError)
  const inside = (object: Json, name: string): JsonObject => {
    if (object instanceof Map) return object
    throw formatError(`${path}: ${name} must be an object, found ${kindOf(object)}`)
  }
  const text = (object: JsonObject, name: string): string => {
    const value = object.get(name)
    if (typeof value === "string") return value
    throw formatError(`${path}: ${name} must be a string, found ${kindOf(value)}`)
  }
  const weights = inside(json.get("weights"), "weights")
  const metrics = [...inside(json.get("metrics"), "metrics")]
  const targetOf = (target: JsonObject): PartRecord["target"] => {
    const name = target.get("name")
    return { sha256: text(target, "sha256"), ...(typeof name === "string" ? { name } : {}) }
  }
  return {
    method: text(json, "method"),
    ...(json.has("target") ? { target: targetOf(inside(json.get("target"), "target")) } : {}),
    recipe: Object.fromEntries(inside(json.get("recipe"), "recipe")),
    metrics: Object.fromEntries(metrics.filter((entry): entry is [string, number] => typeof entry[1] === "number")),
    weights: { file: text(weights, "file"), sha256: text(weights, "sha256") },
  }
}

/** @throws E_MODEL_FORMAT for a record of something else, and as `readTrainingRecord` */
export function readPartRecord(folder: string): PartRecord {
  const { target, ...record } = readTrainingRecord(folder)
  if (target === undefined)
    throw formatError(`${join(folder, recordFile)}: target must be an object, found nothing: this is no trained part`)
  return { ...record, target }
}

/**
 * A part as it was written. @throws E_MODEL_FORMAT when the weights are not those that the record names, or hold
 * values that are no numbers
 */
export async function openPartFolder(
  folder: string,
): Promise<{ record: PartRecord; tensors: ReadonlyMap<string, PartTensor> }> {
  const record = readPartRecord(folder)
  const file = join(folder, partFile)
  const sha256 = await checkpointHash({ files: [file] })
  if (sha256 !== record.weights.sha256)
    throw formatError(`${file} has sha256 ${sha256}, its record says ${record.weights.sha256}`)
  const tensors = readTensors(file)
  for (const [name, { values }] of tensors)
    if (values.some((value) => !Number.isFinite(value))) throw formatError(`${file}: ${name} holds what is no number`)
  return { record, tensors }
}
