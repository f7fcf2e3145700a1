/** Writes safetensors files, whole or not at all: under a temporary name, synced, then renamed. */
import { createHash } from "node:crypto"
import { open, rename } from "node:fs/promises"
import { dirname } from "node:path"
import { asForerunError, ForerunError } from "../../base/errors.ts"
import type { TensorType } from "../weights.ts"
import { tensorBytes } from "./tensor-types.ts"

export interface TensorToWrite {
  readonly name: string
  readonly type: TensorType
  readonly shape: readonly number[]
  /** Row-major, little-endian. */
  readonly data: Uint8Array
}

/** @returns the file's sha256. @throws E_IO, E_MODEL_FORMAT when data and shape do not fit */
export async function writeSafetensorsFile(path: string, tensors: readonly TensorToWrite[]): Promise<string> {
  return writeWhole(path, [headerOf(tensors), ...tensors.map(({ data }) => data)])
}

/** The file is replaced in one step, and is on the disk when this returns. @returns its sha256 */
export async function writeWhole(path: string, pieces: readonly Uint8Array[]): Promise<string> {
  const hash = createHash("sha256")
  const temporary = `${path}.tmp`
  try {
    const file = await open(temporary, "w")
    try {
      for (const piece of pieces) {
        hash.update(piece)
        await file.writeFile(piece)
      }
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(temporary, path)
    await syncFolder(dirname(path))
  } catch (thrown) {
    throw asForerunError(thrown, "E_IO")
  }
  return hash.digest("hex")
}

/** Makes the rename itself last; some systems cannot open folders, and there it is left to them. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, "r").catch(() => undefined)
  await handle?.sync().catch(() => {})
  await handle?.close()
}

function headerOf(tensors: readonly TensorToWrite[]): Uint8Array {
  const entries: Record<string, unknown> = {}
  let offset = 0
  for (const { name, type, shape, data } of tensors) {
    const bytes = tensorBytes(name, type, shape)
    if (data.length !== bytes || Object.hasOwn(entries, name))
      throw new ForerunError("E_INTERNAL", `tensor ${name}: ${bytes} bytes needed once, got ${data.length}`)
    entries[name] = { dtype: type, shape, data_offsets: [offset, offset + bytes] }
    offset += bytes
  }
  const text = JSON.stringify(entries)
  // Data starts at a multiple of 8, as the reference writer has it.
  const bytes = Buffer.from(text.padEnd(text.length + ((8 - (Buffer.byteLength(text) % 8)) % 8)))
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(bytes.length))
  return Buffer.concat([length, bytes])
}
