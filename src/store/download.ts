/** Downloads one file of a repository into the Hugging Face cache: resumable, checked, and one process at a time. */
import { rm, stat } from "node:fs/promises"
import { ForerunError } from "../base/errors.ts"
import { withLock } from "./blob-lock.ts"
import { blobPath, linkSnapshot, lockPath, partPath, snapshotPath, writeRef } from "./cache-layout.ts"
import { requestHub, withRetries } from "./hub-request.ts"
import { ifThere, ioError, throwIfAborted } from "./io-error.ts"
import { hubCacheFolder, hubEndpoint, isOffline } from "./locations.ts"
import { type TransferOptions, transferBlob } from "./transfer.ts"

export type { DownloadProgress } from "./transfer.ts"

export type DownloadOptions = TransferOptions & {
  offline?: boolean | undefined
  /** How long to wait while another process downloads the same blob; then E_LOCKED. 10 minutes unless told. */
  lockTimeoutMs?: number | undefined
  lockStaleMs?: number | undefined
}

export type DownloadRequest = {
  repo: string
  /** A commit, or a branch or tag, whose ref is then written. */
  revision: string
  file: string
  /** From a listing, where there is one; asked of the hub otherwise. */
  size?: number | undefined
  sha256?: string | undefined
  gitOid?: string | undefined
}

export type DownloadedFile = {
  file: string
  /** In the snapshot; a link to `blob`. */
  path: string
  blob: string
  bytes: number
  commit: string
  /** False when it was there already. */
  downloaded: boolean
}

/** Makes sure that one file is in the cache. E_OFFLINE, E_DOWNLOAD, E_LOCKED, E_IO, E_ABORTED, E_MODEL_NOT_FOUND. */
export async function downloadFile(request: DownloadRequest, options: DownloadOptions = {}): Promise<DownloadedFile> {
  const { env = process.env } = options
  if (isOffline(env, options.offline))
    throw new ForerunError("E_OFFLINE", `${request.repo}/${request.file} would need the network, which is off`, {
      hint: "unset HF_HUB_OFFLINE or drop --offline",
    })
  throwIfAborted(options.signal)
  const place = { hub: hubCacheFolder(env), repo: request.repo }
  snapshotPath(place, "check", request.file)
  const known = request.size !== undefined && (request.sha256 ?? request.gitOid) !== undefined
  const facts: Facts = known ? { ...request, commit: request.revision } : await askHub(request, options)
  const key = facts.sha256 ?? facts.gitOid ?? facts.key
  if (key === undefined)
    throw new ForerunError("E_DOWNLOAD", `the hub gives no ETag for ${request.repo}/${request.file}`, {
      hint: "is HF_ENDPOINT a hub?",
    })
  const blob = blobPath(place, key)
  const downloaded = await withLock(
    lockPath(place, key),
    { signal: options.signal, timeoutMs: options.lockTimeoutMs, staleMs: options.lockStaleMs },
    async (signal) => {
      if (await hasBlob(blob, facts.size)) return false
      const part = partPath(place, key)
      const address = fileAddress(request, facts.commit, env)
      const { size, sha256, gitOid, etag } = facts
      await transferBlob(
        { address, file: request.file, part, blob, size, sha256, gitOid, etag },
        { ...options, signal },
      )
      return true
    },
  )
  try {
    const path = await linkSnapshot(place, facts.commit, request.file, key)
    await writeRef(place, request.revision, facts.commit)
    return { file: request.file, path, blob, bytes: (await stat(blob)).size, commit: facts.commit, downloaded }
  } catch (thrown) {
    throw ioError(thrown, `cannot file ${request.file} in the cache`)
  }
}

type Facts = { commit: string; size?: number | undefined; sha256?: string | undefined; gitOid?: string | undefined } & {
  /** Names the blob where no hash is known. */
  key?: string
  etag?: string
}

/** A blob is checked before it gets its name, so its size is enough here; one that lost bytes since goes. */
async function hasBlob(blob: string, size: number | undefined): Promise<boolean> {
  const there = await ifThere(stat(blob))
  if (there === undefined) return false
  if (size === undefined || there.size === size) return true
  await rm(blob, { force: true })
  return false
}

async function askHub(request: DownloadRequest, options: DownloadOptions): Promise<Facts> {
  const address = fileAddress(request, request.revision, options.env)
  const origin = new URL(address).origin
  return withRetries(options, () =>
    requestHub(address, { method: "HEAD" }, options, async ({ response, url, linked }) => {
      const etag = response.headers.get("etag") ?? ""
      const key = (linked.etag ?? etag).replace(/^W\//, "").replaceAll('"', "")
      const length = response.headers.get("content-length")
      const size = linked.size ?? (length === null || !response.ok ? undefined : Number(length))
      if (linked.commit === undefined)
        throw new ForerunError("E_DOWNLOAD", `${origin} does not say which commit ${request.revision} is`, {
          hint: "a login page of the network, or a wrong HF_ENDPOINT?",
        })
      const sha256 = request.sha256 ?? (/^[0-9a-f]{64}$/i.test(key) ? key.toLowerCase() : undefined)
      return {
        commit: linked.commit,
        size: request.size ?? size,
        ...(sha256 === undefined ? {} : { sha256 }),
        ...(key === "" ? {} : { key }),
        ...(etag.startsWith('"') && url.origin === origin ? { etag } : {}),
      }
    }),
  )
}

function fileAddress(request: DownloadRequest, revision: string, env: DownloadOptions["env"]): string {
  const file = request.file.split("/").map(encodeURIComponent).join("/")
  return `${hubEndpoint(env)}/${request.repo}/resolve/${encodeURIComponent(revision)}/${file}`
}
