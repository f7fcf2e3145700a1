/** Reads little-endian values from the front of a file, through a window, checking every length before it is used. */

import type { FileSource } from "./file-source.ts"
import { formatError } from "./format-error.ts"

export interface ByteReader {
  readonly position: number
  /** Bytes from here to the end of the file (or of what this reader may read). */
  readonly remaining: number
  u8(): number
  i8(): number
  u16(): number
  i16(): number
  u32(): number
  i32(): number
  f32(): number
  f64(): number
  /** 64-bit integers: a number where it is exact, a bigint otherwise. */
  u64(): number | bigint
  i64(): number | bigint
  /** A u64 that counts `what`, each taking at least `each` bytes of what remains. @throws ForerunError E_MODEL_FORMAT */
  count(what: string, each: number): number
  /** A u64 length and so many bytes of UTF-8. */
  string(what: string, longest?: number): string
}

const WINDOW = 1 << 20

/**
 * @param limit bytes after which the reader refuses to go on: no real header is longer
 * @param what names the file in errors
 */
export function createByteReader(source: FileSource, limit: number): ByteReader {
  const end = Math.min(source.size, limit)
  let start = 0 // file offset of the window
  let window = Buffer.alloc(0)
  let at = 0 // offset in the window

  const fail = (needed: string): never => {
    const where = source.size > limit ? `the header's limit of ${limit} bytes` : `the file's end at ${source.size}`
    throw formatError(`${source.path}: needed ${needed} at byte ${start + at}, found ${where}`)
  }
  /** Makes the next `length` bytes available and returns where they lie in the window. */
  const take = (length: number): number => {
    if (at + length > window.length) {
      const position = start + at
      if (position + length > end) fail(`${length} more bytes`)
      const bytes = source.read(position, Math.min(Math.max(length, WINDOW), end - position))
      window = Buffer.from(bytes.buffer)
      start = position
      at = 0
    }
    const found = at
    at += length
    return found
  }
  // Taking first: it may replace the window that is then read.
  const scalar = <T>(length: number, read: (here: number) => T): T => read(take(length))
  const number64 = (value: bigint): number | bigint => {
    const asNumber = Number(value)
    return Number.isSafeInteger(asNumber) ? asNumber : value
  }
  const u64 = (): number | bigint => {
    const here = take(8)
    const high = window.readUInt32LE(here + 4)
    // 2^53 is where doubles stop being exact; below it two halves add up without a bigint.
    return high < 0x20_0000 ? high * 0x1_0000_0000 + window.readUInt32LE(here) : window.readBigUInt64LE(here)
  }
  const count = (what: string, each: number): number => {
    const found = u64()
    const left = end - start - at
    if (typeof found === "bigint" || found * each > left) {
      const most = Math.floor(left / each)
      throw formatError(`${source.path}: ${what} is ${found}, but ${left} bytes are left, room for at most ${most}`)
    }
    return found
  }

  return {
    get position() {
      return start + at
    },
    get remaining() {
      return end - start - at
    },
    u8: () => scalar(1, (here) => window.readUInt8(here)),
    i8: () => scalar(1, (here) => window.readInt8(here)),
    u16: () => scalar(2, (here) => window.readUInt16LE(here)),
    i16: () => scalar(2, (here) => window.readInt16LE(here)),
    u32: () => scalar(4, (here) => window.readUInt32LE(here)),
    i32: () => scalar(4, (here) => window.readInt32LE(here)),
    f32: () => scalar(4, (here) => window.readFloatLE(here)),
    f64: () => scalar(8, (here) => window.readDoubleLE(here)),
    u64,
    i64: () => number64(scalar(8, (here) => window.readBigInt64LE(here))),
    count,
    string(what, longest = Number.MAX_SAFE_INTEGER) {
      const length = count(`the length of ${what}`, 1)
      if (length > longest) throw formatError(`${source.path}: ${what} is ${length} bytes long, at most ${longest} fit`)
      const here = take(length)
      return window.toString("utf8", here, here + length)
    },
  }
}
