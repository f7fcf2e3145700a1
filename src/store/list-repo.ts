/** What a repository on the hub holds, at one commit. */
import { ForerunError } from "../base/errors.ts"
import { isCommit } from "./cache-layout.ts"
import { type HubOptions, plainAddress, requestHub, TransientError, withRetries } from "./hub-request.ts"
import { hubEndpoint } from "./locations.ts"
import { isSafeFileName } from "./model-spec.ts"

/** `sha256` is known for large files (LFS), `gitOid` for the others; either names the blob in the cache. */
export type RepoFile = { name: string; size?: number; sha256?: string; gitOid?: string }
export type RepoListing = { repo: string; commit: string; files: RepoFile[] }

const maxBytes = 64 * 1024 * 1024

/** Asks the hub for the files of `repo` at `revision`. Names that would leave a folder are refused. */
export async function listRepo(repo: string, revision: string, options: HubOptions = {}): Promise<RepoListing> {
  const address = `${hubEndpoint(options.env)}/api/models/${repo}/revision/${encodeURIComponent(revision)}?blobs=true`
  const text = await withRetries(options, () =>
    requestHub(
      address,
      { headers: () => ({ accept: "application/json" }) },
      options,
      async ({ response, chunks: read }) => {
        const chunks: Uint8Array[] = []
        let bytes = 0
        for await (const chunk of read()) {
          bytes += chunk.length
          if (bytes > maxBytes) throw notAListing(address, "it is absurdly long")
          chunks.push(chunk)
        }
        const promised = response.headers.get("content-length")
        if (promised !== null && Number(promised) !== bytes)
          throw new TransientError(notAListing(address, `it ended after ${bytes} of ${promised} bytes`))
        return Buffer.concat(chunks).toString("utf8")
      },
    ),
  )
  return parseListing(repo, text, address)
}

function parseListing(repo: string, text: string, address: string): RepoListing {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw notAListing(address, "it is not JSON")
  }
  const { sha, siblings } = (value ?? {}) as Record<string, unknown>
  if (typeof sha !== "string" || !isCommit(sha)) throw notAListing(address, "it names no commit")
  if (!Array.isArray(siblings)) throw notAListing(address, "it lists no files")
  return { repo, commit: sha, files: siblings.map((sibling) => parseFile(sibling, address)) }
}

function parseFile(sibling: unknown, address: string): RepoFile {
  const { rfilename: name, size, blobId, lfs } = (sibling ?? {}) as Record<string, unknown>
  if (typeof name !== "string" || !isSafeFileName(name))
    throw notAListing(address, `it lists a file ${JSON.stringify(name)?.slice(0, 100)}`)
  const file: RepoFile = { name }
  const large = typeof lfs === "object" && lfs !== null ? (lfs as Record<string, unknown>) : undefined
  const bytes = large?.size ?? size
  const sha256 = large?.sha256 ?? large?.oid
  if (typeof bytes === "number" && Number.isSafeInteger(bytes) && bytes >= 0) file.size = bytes
  if (typeof sha256 === "string" && /^(sha256:)?[0-9a-f]{64}$/i.test(sha256))
    file.sha256 = sha256.slice(-64).toLowerCase()
  if (large === undefined && typeof blobId === "string" && /^[0-9a-f]{40}$/i.test(blobId))
    file.gitOid = blobId.toLowerCase()
  return file
}

function notAListing(address: string, why: string): ForerunError {
  return new ForerunError("E_DOWNLOAD", `${plainAddress(address)} did not answer like a hub: ${why}`, {
    hint: "a login page of the network, or a wrong HF_ENDPOINT?",
  })
}
