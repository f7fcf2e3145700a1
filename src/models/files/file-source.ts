/** One open file, read by position: nothing is held in memory, and files past 2 GiB work. */

import { closeSync, fstatSync, openSync, readSync, statSync } from "node:fs"
import { asForerunError, ForerunError } from "../../base/errors.ts"
import { formatError } from "./format-error.ts"

export interface FileSource {
  readonly path: string
  /** Length in bytes when it was opened. */
  readonly size: number
  /** Fresh memory holding bytes [offset, offset + length). @throws ForerunError E_MODEL_FORMAT past the end, E_IO */
  read(offset: number, length: number): Uint8Array<ArrayBuffer>
  close(): void
}

const LARGEST_READ = 1 << 30 // readSync takes a signed 32-bit length

/** @throws ForerunError E_MODEL_NOT_FOUND when there is nothing there, E_IO when it cannot be read */
export function openFileSource(path: string): FileSource {
  let descriptor: number
  let size: number
  try {
    // Asked before opening: opening a pipe would wait for a writer.
    if (!statSync(path).isFile()) throw new ForerunError("E_IO", `${path}: needed a regular file, found something else`)
    descriptor = openSync(path, "r")
    size = fstatSync(descriptor).size
  } catch (thrown) {
    throw fileError(thrown, path)
  }
  let open = true

  const read = (offset: number, length: number): Uint8Array<ArrayBuffer> => {
    if (!open) throw new ForerunError("E_DISPOSED", `${path}: read after close`)
    if (offset < 0 || length < 0 || offset + length > size)
      throw formatError(`${path}: needed bytes ${offset}..${offset + length}, the file has ${size}`)
    const bytes = new Uint8Array(length)
    let done = 0
    while (done < length) {
      let count: number
      try {
        count = readSync(descriptor, bytes, done, Math.min(length - done, LARGEST_READ), offset + done)
      } catch (thrown) {
        throw fileError(thrown, path)
      }
      if (count === 0) throw formatError(`${path}: shrank while it was read (needed ${size} bytes)`)
      done += count
    }
    return bytes
  }

  const close = (): void => {
    if (open) closeSync(descriptor)
    open = false
  }

  return { path, size, read, close }
}

/** A Node file-system error as ours. */
export function fileError(thrown: unknown, path: string): ForerunError {
  if (thrown instanceof ForerunError) return thrown
  const missing = thrown instanceof Error && "code" in thrown && (thrown.code === "ENOENT" || thrown.code === "ENOTDIR")
  if (missing) return new ForerunError("E_MODEL_NOT_FOUND", `${path}: no such file`, { cause: thrown })
  return asForerunError(thrown, "E_IO")
}
