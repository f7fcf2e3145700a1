/** A small zip reader: enough to take one file out of a wheel, streaming, with every number checked. */
import { createReadStream } from "node:fs"
import { type FileHandle, open } from "node:fs/promises"
import { pipeline } from "node:stream"
import { crc32, createInflateRaw } from "node:zlib"
import { ForerunError } from "../base/errors.ts"
import { ioError } from "./io-error.ts"

export type ZipEntry = { name: string; method: 0 | 8; crc: number; compressed: number; bytes: number; start: number }

const maxEntries = 100_000
const maxDirectory = 64 * 1024 * 1024

/** The files inside the zip at `path`. Refuses encryption, zip64, other compressions and anything out of bounds. */
export async function listZip(path: string): Promise<ZipEntry[]> {
  const handle = await open(path, "r").catch((thrown) => {
    throw ioError(thrown, `cannot read ${path}`)
  })
  try {
    const { size } = await handle.stat()
    const { directory, directoryStart } = await readDirectory(handle, size)
    const entries: ZipEntry[] = []
    let at = 0
    while (at < directory.length) {
      if (entries.length >= maxEntries) throw malformed("it lists too many files")
      const { entry, header, next } = parseHeader(directory, at)
      at = next
      if (!entry.name.endsWith("/"))
        entries.push({ ...entry, start: await dataStart(handle, header, entry, directoryStart) })
    }
    return entries
  } finally {
    await handle.close()
  }
}

/** The bytes of `entry`, checked against its length and CRC when the last has been read. */
export async function* readZipEntry(path: string, entry: ZipEntry): AsyncGenerator<Uint8Array> {
  if (entry.compressed === 0 && entry.bytes > 0) throw malformed(`${entry.name} has no data`)
  if (entry.compressed === 0) return
  const raw = createReadStream(path, {
    start: entry.start,
    end: entry.start + entry.compressed - 1,
    highWaterMark: 1 << 18,
  })
  const stream = entry.method === 0 ? raw : pipeline(raw, createInflateRaw({ chunkSize: 1 << 18 }), () => {})
  let received = 0
  let crc = 0
  try {
    for await (const chunk of stream as AsyncIterable<Uint8Array>) {
      received += chunk.length
      if (received > entry.bytes) throw malformed(`${entry.name} unpacks to more than it says`)
      crc = crc32(chunk, crc)
      yield chunk
    }
  } catch (thrown) {
    if (thrown instanceof ForerunError) throw thrown
    throw malformed(`${entry.name}: ${thrown instanceof Error ? thrown.message : String(thrown)}`, thrown)
  } finally {
    raw.destroy()
  }
  if (received !== entry.bytes) throw malformed(`${entry.name} unpacks to less than it says`)
  if (crc !== entry.crc) throw malformed(`${entry.name} has a wrong checksum`)
}

async function readDirectory(handle: FileHandle, size: number) {
  // The end record is 22 bytes and a comment of at most 65,535.
  const tail = await readAt(handle, Math.max(0, size - 22 - 0xffff), Math.min(size, 22 + 0xffff))
  let end = tail.length - 22
  while (end >= 0 && !(tail.readUInt32LE(end) === 0x06054b50 && tail.readUInt16LE(end + 20) === tail.length - end - 22))
    end--
  if (end < 0) throw malformed("it has no end record")
  const count = tail.readUInt16LE(end + 10)
  const length = tail.readUInt32LE(end + 12)
  const directoryStart = tail.readUInt32LE(end + 16)
  if (tail.readUInt16LE(end + 4) !== 0 || tail.readUInt16LE(end + 6) !== 0) throw malformed("it is split over disks")
  if (count === 0xffff || length === 0xffffffff || directoryStart === 0xffffffff)
    throw malformed("zip64 is not read here")
  if (length > maxDirectory || directoryStart + length > size - 22) throw malformed("its directory is out of bounds")
  return { directory: await readAt(handle, directoryStart, length), directoryStart }
}

function parseHeader(directory: Buffer, at: number) {
  if (at + 46 > directory.length || directory.readUInt32LE(at) !== 0x02014b50)
    throw malformed("its directory is cut off")
  const flags = directory.readUInt16LE(at + 8)
  const method = directory.readUInt16LE(at + 10)
  const nameLength = directory.readUInt16LE(at + 28)
  const next = at + 46 + nameLength + directory.readUInt16LE(at + 30) + directory.readUInt16LE(at + 32)
  if (next > directory.length) throw malformed("its directory is cut off")
  const name = directory.toString("utf8", at + 46, at + 46 + nameLength)
  const compressed = directory.readUInt32LE(at + 20)
  const bytes = directory.readUInt32LE(at + 24)
  const header = directory.readUInt32LE(at + 42)
  if ((flags & 0x2041) !== 0) throw malformed(`${name} is encrypted`)
  if (method !== 0 && method !== 8) throw malformed(`${name} is compressed by method ${method}`)
  if (compressed === 0xffffffff || bytes === 0xffffffff || header === 0xffffffff)
    throw malformed("zip64 is not read here")
  if (method === 0 && compressed !== bytes) throw malformed(`${name} has two lengths`)
  const entry = { name, method: method as 0 | 8, crc: directory.readUInt32LE(at + 16), compressed, bytes }
  return { entry, header, next }
}

async function dataStart(handle: FileHandle, header: number, entry: Omit<ZipEntry, "start">, limit: number) {
  if (header + 30 > limit) throw malformed(`${entry.name} is out of bounds`)
  const local = await readAt(handle, header, 30)
  const start = header + 30 + local.readUInt16LE(26) + local.readUInt16LE(28)
  if (local.readUInt32LE(0) !== 0x04034b50 || local.readUInt16LE(8) !== entry.method)
    throw malformed(`${entry.name} has no matching header`)
  if (start + entry.compressed > limit) throw malformed(`${entry.name} is out of bounds`)
  return start
}

async function readAt(handle: FileHandle, position: number, length: number): Promise<Buffer> {
  const buffer = Buffer.alloc(length)
  let done = 0
  while (done < length) {
    const { bytesRead } = await handle.read(buffer, done, length - done, position + done)
    if (bytesRead === 0) throw malformed("it ends too early")
    done += bytesRead
  }
  return buffer
}

function malformed(why: string, cause?: unknown): ForerunError {
  return new ForerunError("E_DOWNLOAD", `not a good zip file: ${why}`, { cause })
}
