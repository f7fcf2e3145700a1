/** Models that lie complete in the Hugging Face cache, whoever put them there. */
import { readdir, readFile, stat } from "node:fs/promises"
import { join } from "node:path"
import { isCommit, type RepoPlace, readRef, repoFolder, snapshotPath } from "./cache-layout.ts"
import { chooseFiles } from "./choose-files.ts"
import { ifThere } from "./io-error.ts"
import { hubCacheFolder } from "./locations.ts"
import { defaultModel, isSafeFileName, type RepoSpec } from "./model-spec.ts"

/** A file of a snapshot; `bytes` is undefined when it is a link to nothing. */
export type SnapshotFile = { name: string; path: string; bytes: number | undefined }
export type CachedModel = { path: string; commit: string; files: SnapshotFile[] }

/** The newest complete snapshot that has what `spec` asks for; the one its revision names comes first. */
export async function findInCache(
  spec: RepoSpec,
  env?: Parameters<typeof hubCacheFolder>[0],
): Promise<CachedModel | undefined> {
  const place = { hub: hubCacheFolder(env), repo: spec.repo }
  for (const commit of await candidateCommits(place, spec.revision)) {
    const found = await completeModel(place, commit, spec)
    if (found !== undefined) return found
  }
  return undefined
}

/** All commits that have a snapshot folder, newest first. */
export async function listCommits(place: RepoPlace): Promise<string[]> {
  const folder = join(repoFolder(place), "snapshots")
  const names = ((await ifThere(readdir(folder))) ?? []).filter(isCommit)
  const times = await Promise.all(names.map(async (name) => (await ifThere(stat(join(folder, name))))?.mtimeMs ?? 0))
  const byTime = new Map(names.map((name, index) => [name, times[index] ?? 0]))
  return names.sort((a, b) => byTime.get(b)! - byTime.get(a)! || a.localeCompare(b))
}

export async function listSnapshot(place: RepoPlace, commit: string): Promise<SnapshotFile[]> {
  const root = snapshotPath(place, commit)
  const entries = (await ifThere(readdir(root, { recursive: true, withFileTypes: true }))) ?? []
  const files = entries.filter((entry) => !entry.isDirectory() && !entry.name.endsWith(".tmp"))
  return Promise.all(
    files.map(async (entry) => {
      const path = join(entry.parentPath, entry.name)
      const name = path.slice(root.length).replaceAll("\\", "/").replace(/^\/+/, "")
      return { name, path, bytes: (await ifThere(stat(path)))?.size }
    }),
  )
}

/** Names that the index of a sharded checkpoint asks for and `files` lack; empty when there is no index. */
export async function missingShards(files: readonly SnapshotFile[]): Promise<string[]> {
  const index = files.find(({ name }) => name === "model.safetensors.index.json")
  if (index === undefined) return []
  try {
    const { weight_map: map } = JSON.parse(await readFile(index.path, "utf8")) as {
      weight_map?: Record<string, unknown>
    }
    const shards = [...new Set(Object.values(map ?? {}).map(String))]
    return shards.filter(
      (shard) => !isSafeFileName(shard) || !files.some((f) => f.name === shard && f.bytes !== undefined),
    )
  } catch {
    return [index.name]
  }
}

async function candidateCommits(place: RepoPlace, revision: string): Promise<string[]> {
  const named = await readRef(place, revision)
  const commits = await listCommits(place)
  if (revision !== "main") return commits.filter((commit) => commit === named || commit === revision)
  return [...commits.filter((commit) => commit === named), ...commits.filter((commit) => commit !== named)]
}

async function completeModel(place: RepoPlace, commit: string, spec: RepoSpec): Promise<CachedModel | undefined> {
  const all = await listSnapshot(place, commit)
  const whole = all.filter(({ bytes }) => bytes !== undefined && bytes > 0)
  try {
    const { files: names, main } = chooseFiles(
      whole.map(({ name }) => name),
      spec,
    )
    const files = whole.filter(({ name }) => names.includes(name))
    if (main === undefined && (await missingShards(all)).length > 0) return undefined
    if (spec.isDefault && files[0]?.bytes !== defaultModel.bytes) return undefined
    return { path: snapshotPath(place, commit, main), commit, files }
  } catch {
    // chooseFiles finds nothing here that fits; the next snapshot may.
    return undefined
  }
}
