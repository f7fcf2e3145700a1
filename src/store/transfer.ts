/** Brings one blob to disk: continues a part, checks every promise of the server, and renames only what is right. */
import { createHash, type Hash } from "node:crypto"
import { type FileHandle, mkdir, open, rename, rm, statfs } from "node:fs/promises"
import { dirname } from "node:path"
import { ForerunError } from "../base/errors.ts"
import {
  type HubOptions,
  type HubResponse,
  plainAddress,
  requestHub,
  TransientError,
  withRetries,
} from "./hub-request.ts"
import { abortedError, ifThere, ioError, throwIfAborted } from "./io-error.ts"

export type DownloadProgress = {
  file: string
  received: number
  total: number | undefined
  /** Bytes that were already here from an earlier run. */
  resumed: number
}

export type Transfer = {
  address: string
  /** For progress and messages. */
  file: string
  part: string
  blob: string
  size: number | undefined
  sha256?: string | undefined
  gitOid?: string | undefined
  /** The strong ETag that `address`'s own host gives the file, for If-Range. */
  etag?: string | undefined
}

export type TransferOptions = HubOptions & { onProgress?: ((progress: DownloadProgress) => void) | undefined }

type Part = { handle: FileHandle; offset: number; hash: Hash; resumed: number; etag?: string; origin?: string }

/** Fetches `transfer.blob`. Whatever fails, nothing wrong is ever left under that name; a good part is kept for next time. */
export async function transferBlob(transfer: Transfer, options: TransferOptions): Promise<void> {
  const part = await openPart(transfer, options).catch((thrown) => {
    throw ioError(thrown, `cannot write ${transfer.part}`)
  })
  let wrong: unknown
  try {
    await checkSpace(transfer, part.offset)
    report(transfer, part, options)
    let counted = part.offset
    await withRetries(options, async (progressed) => {
      try {
        await receive(transfer, part, options)
      } finally {
        if (part.offset - counted >= 1024 * 1024) {
          counted = part.offset
          progressed()
        }
      }
    })
    throwIfAborted(options.signal)
    if (transfer.sha256 !== undefined || transfer.gitOid !== undefined) checkHash(transfer, part)
    await part.handle.sync().catch((thrown) => {
      throw ioError(thrown, `cannot write ${transfer.part}`)
    })
  } catch (thrown) {
    wrong = thrown
    throw thrown
  } finally {
    await part.handle.close().catch(() => {})
    if (wrong instanceof SpoiltError || (wrong !== undefined && part.offset === 0))
      await rm(transfer.part, { force: true }).catch(() => {})
  }
  await rename(transfer.part, transfer.blob).catch((thrown) => {
    throw ioError(thrown, `cannot write ${transfer.blob}`)
  })
}

/** What arrived is not what was promised: the part is of no use and goes. */
class SpoiltError extends ForerunError {
  constructor(
    message: string,
    hint = "it was deleted: run again; if this repeats, a server or a proxy alters the file",
  ) {
    super("E_DOWNLOAD", message, { hint })
  }
}

async function openPart(transfer: Transfer, options: TransferOptions): Promise<Part> {
  await mkdir(dirname(transfer.part), { recursive: true })
  const handle = (await ifThere(open(transfer.part, "r+"))) ?? (await open(transfer.part, "w+"))
  try {
    const { size } = await handle.stat()
    const part: Part = { handle, offset: 0, hash: newHash(transfer), resumed: 0 }
    const tooLong = transfer.size !== undefined && size > transfer.size
    if (tooLong) await handle.truncate(0)
    const buffer = Buffer.allocUnsafe(1024 * 1024)
    while (!tooLong && part.offset < size) {
      if (options.signal?.aborted) throw abortedError(options.signal)
      const { bytesRead } = await handle.read(buffer, 0, buffer.length, part.offset)
      if (bytesRead === 0) break
      part.hash.update(buffer.subarray(0, bytesRead))
      part.offset += bytesRead
    }
    part.resumed = part.offset
    return part
  } catch (thrown) {
    await handle.close().catch(() => {})
    throw thrown
  }
}

function newHash(transfer: Transfer): Hash {
  if (transfer.sha256 !== undefined || transfer.gitOid === undefined) return createHash("sha256")
  // Git names a file by the hash of this header and its bytes.
  return createHash("sha1").update(`blob ${transfer.size}\0`)
}

async function restart(transfer: Transfer, part: Part): Promise<void> {
  await part.handle.truncate(0).catch((thrown) => {
    throw ioError(thrown, `cannot write ${transfer.part}`)
  })
  part.offset = 0
  part.resumed = 0
  part.hash = newHash(transfer)
}

async function receive(transfer: Transfer, part: Part, options: TransferOptions): Promise<void> {
  if (part.offset === transfer.size) return
  const from = part.offset
  const headers = (url: URL): Record<string, string> => {
    if (from === 0) return {}
    const etag = knownEtag(transfer, part, url)
    return { range: `bytes=${from}-`, ...(etag ? { "if-range": etag } : {}) }
  }
  try {
    await requestHub(transfer.address, { headers }, options, (answer) =>
      readBody(transfer, part, from, answer, options),
    )
  } catch (thrown) {
    // The server cannot go on from here: the part is longer than its file.
    if (thrown instanceof TransientError && / answered 416$/.test(thrown.message)) await restart(transfer, part)
    throw thrown
  }
}

async function readBody(
  transfer: Transfer,
  part: Part,
  from: number,
  answer: HubResponse,
  options: TransferOptions,
): Promise<void> {
  const { response, url } = answer
  const where = plainAddress(url)
  await checkHeaders(transfer, part, from, answer)
  const etag = response.headers.get("etag")
  if (etag?.startsWith('"')) Object.assign(part, { etag, origin: url.origin })
  for await (const chunk of answer.chunks()) {
    if (options.signal?.aborted) throw abortedError(options.signal)
    if (part.offset === 0) checkMagic(transfer, chunk, where)
    if (transfer.size !== undefined && part.offset + chunk.length > transfer.size)
      throw new SpoiltError(`${where} sends more than the ${transfer.size} bytes it promised`)
    await writeAll(transfer, part, chunk)
    report(transfer, part, options)
  }
  if (transfer.size === undefined) transfer.size = part.offset
  if (part.offset < transfer.size) throw cutOff(transfer, part, where)
}

/** Status, Content-Range, Content-Length, ETag and type must all fit what was asked and promised before. */
async function checkHeaders(
  transfer: Transfer,
  part: Part,
  from: number,
  { response, url }: HubResponse,
): Promise<void> {
  const where = plainAddress(url)
  const type = response.headers.get("content-type") ?? ""
  if (/^(text\/html|application\/xhtml)/i.test(type) && !/\.x?html?$/i.test(transfer.file)) throw webPage(where)
  const encoding = response.headers.get("content-encoding") ?? "identity"
  if (encoding !== "identity")
    throw new ForerunError("E_DOWNLOAD", `${where} sends ${transfer.file} in an encoding nobody asked for`)
  const length = response.headers.get("content-length")
  const etag = response.headers.get("etag") ?? undefined
  const changed = etag !== undefined && etag !== (knownEtag(transfer, part, url) ?? etag)
  if (changed && transfer.sha256 === undefined && transfer.gitOid === undefined)
    throw new SpoiltError(`${where}: the file changed meanwhile`, "run again")
  if (response.status === 206) {
    const range = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(response.headers.get("content-range") ?? "")
    const total = range?.[3] === "*" ? transfer.size : Number(range?.[3])
    const last = Number(range?.[2])
    const fits = Number(range?.[1]) === from && total === (transfer.size ?? total) && last + 1 === total
    if (from === 0 || !fits || changed) {
      await restart(transfer, part)
      const found = changed ? "of another version" : (response.headers.get("content-range") ?? "no Content-Range")
      const message = `${where}: asked for bytes from ${from} of ${transfer.size}, got ${found}`
      throw new TransientError(new ForerunError("E_DOWNLOAD", message, { hint: "run again" }))
    }
    transfer.size ??= total
    if (length !== null && Number(length) !== last - from + 1) throw wrongLength(where, length, transfer)
    return
  }
  if (response.status !== 200) throw new ForerunError("E_DOWNLOAD", `${where} answered ${response.status}`)
  if (length !== null) transfer.size ??= Number(length)
  if (length !== null && Number(length) !== transfer.size) throw wrongLength(where, length, transfer)
  // The server does not do ranges, or the file changed (If-Range): all of it comes again.
  if (from > 0) await restart(transfer, part)
}

/** The strong ETag that the host of `url` gave this file before, in this run or when it was looked up. */
function knownEtag(transfer: Transfer, part: Part, url: URL): string | undefined {
  if (part.origin === url.origin) return part.etag
  return new URL(transfer.address).origin === url.origin ? transfer.etag : undefined
}

function checkMagic(transfer: Transfer, chunk: Uint8Array, where: string): void {
  const start = Buffer.from(chunk.subarray(0, 16)).toString("latin1")
  const isPage =
    /^\s*<(!doctype|html|head|\?xml)/i.test(start) && !/\.(x?html?|xml|svg|jinja|txt|md)$/i.test(transfer.file)
  if (isPage) throw webPage(where)
  if (/\.gguf$/i.test(transfer.file) && !"GGUF".startsWith(start.slice(0, 4)))
    throw new ForerunError(
      "E_DOWNLOAD",
      `${where} is not a GGUF file: it starts with ${JSON.stringify(start.slice(0, 8))}`,
    )
}

function checkHash(transfer: Transfer, part: Part): void {
  const expected = transfer.sha256 ?? transfer.gitOid
  const found = part.hash.digest("hex")
  if (found !== expected)
    throw new SpoiltError(
      `${transfer.file}: ${transfer.sha256 ? "sha256" : "git hash"} is ${found}, expected ${expected}`,
    )
}

async function writeAll(transfer: Transfer, part: Part, chunk: Uint8Array): Promise<void> {
  let written = 0
  try {
    while (written < chunk.length) {
      const { bytesWritten } = await part.handle.write(chunk, written, chunk.length - written, part.offset + written)
      written += bytesWritten
    }
  } catch (thrown) {
    throw ioError(thrown, `cannot write ${transfer.part}`)
  }
  part.hash.update(chunk)
  part.offset += chunk.length
}

/** Better to say so now than after an hour of transfer. */
async function checkSpace(transfer: Transfer, offset: number): Promise<void> {
  if (transfer.size === undefined) return
  const disk = await statfs(dirname(transfer.part)).catch(() => undefined)
  const free = disk === undefined || disk.blocks === 0 ? Number.POSITIVE_INFINITY : disk.bavail * disk.bsize
  if (free < transfer.size - offset)
    throw new ForerunError(
      "E_IO",
      `${transfer.file} needs ${transfer.size - offset} bytes, the disk has ${free} free`,
      {
        hint: "free some space, or point HF_HUB_CACHE to another disk; what has arrived is kept",
      },
    )
}

function report(transfer: Transfer, part: Part, options: TransferOptions): void {
  options.onProgress?.({ file: transfer.file, received: part.offset, total: transfer.size, resumed: part.resumed })
}

function webPage(where: string): ForerunError {
  return new ForerunError("E_DOWNLOAD", `${where} answered with a web page in place of the file`, {
    hint: "a login page of the network? Open a browser, log in, and run again",
  })
}

function wrongLength(where: string, length: string, transfer: Transfer): ForerunError {
  return new ForerunError("E_DOWNLOAD", `${where} announces ${length} bytes, ${transfer.size} were promised in all`)
}

function cutOff(transfer: Transfer, part: Part, where: string): TransientError {
  return new TransientError(
    new ForerunError("E_DOWNLOAD", `${where} ended after ${part.offset} of ${transfer.size} bytes`, {
      hint: "run again: it goes on where it stopped",
    }),
  )
}
