/** Removes a model from the Hugging Face cache: its files, and the blobs that nothing else there needs. */
import { lstat, readdir, readlink, realpath, rm, rmdir } from "node:fs/promises"
import { basename, dirname, join, sep } from "node:path"
import { ForerunError } from "../base/errors.ts"
import { isLocked } from "./blob-lock.ts"
import { lockPath, type RepoPlace, repoFolder, snapshotPath } from "./cache-layout.ts"
import { chooseFiles } from "./choose-files.ts"
import { listCommits, listSnapshot, type SnapshotFile } from "./find-in-cache.ts"
import { findInFolders } from "./find-in-folders.ts"
import { ifThere, ioError } from "./io-error.ts"
import { type Environment, hubCacheFolder, modelFolders } from "./locations.ts"
import { parseModelSpec, type RepoSpec } from "./model-spec.ts"

export type RemovedModel = { name: string; files: string[]; bytes: number }

/**
 * Removes `name` from the cache: the whole repository, or with a quant type, file or revision only that. Files outside
 * the cache are never touched (E_OPTION); E_LOCKED while it is being downloaded; E_MODEL_NOT_FOUND when it is not there.
 */
export async function removeModel(
  name: string,
  options: { env?: Environment | undefined } = {},
): Promise<RemovedModel> {
  const spec = parseModelSpec(name)
  const hub = hubCacheFolder(options.env)
  if (spec.kind !== "repo") {
    const elsewhere = spec.kind === "path" ? spec.path : await findInFolders(spec, modelFolders(options.env))
    if (elsewhere === undefined) throw notThere(name, hub)
    throw new ForerunError("E_OPTION", `${elsewhere} is not in the cache: not removed`, {
      hint: `only models in ${hub} are removed; delete other files yourself`,
    })
  }
  const place = { hub, repo: spec.repo }
  const folder = repoFolder(place)
  const there = await ifThere(lstat(folder))
  if (there === undefined) throw notThere(name, hub)
  if (!there.isDirectory() || (await realpath(folder)) !== join(await realpath(hub), basename(folder)))
    throw new ForerunError("E_OPTION", `${folder} leads out of the cache: not removed`)
  await refuseLocked(place)
  try {
    const wholeRepo = spec.file === undefined && spec.quant === undefined && spec.revision === "main"
    const removed = await removeFiles(place, wholeRepo ? undefined : spec, name)
    await removeBlobs(place, removed)
    await tidy(place)
    return { name: spec.repo, files: removed.files.map((file) => file.name).sort(), bytes: removed.bytes }
  } catch (thrown) {
    throw ioError(thrown, `cannot remove ${name}`)
  }
}

type Removed = { files: SnapshotFile[]; bytes: number; whole: boolean }

async function refuseLocked(place: RepoPlace): Promise<void> {
  const locks = (await ifThere(readdir(dirname(lockPath(place, "any"))))) ?? []
  for (const lock of locks.filter((entry) => entry.endsWith(".forerun.lock")))
    if (await isLocked(join(dirname(lockPath(place, "any")), lock)))
      throw new ForerunError("E_LOCKED", `${place.repo} is being downloaded by another process`, {
        hint: "wait for it to end, or stop it and try again ten seconds later",
      })
}

async function removeFiles(place: RepoPlace, spec: RepoSpec | undefined, name: string): Promise<Removed> {
  const removed: Removed = { files: [], bytes: 0, whole: spec === undefined }
  for (const commit of await listCommits(place)) {
    const all = await listSnapshot(place, commit)
    const files = spec === undefined ? all : filesMeant(all, spec, commit)
    for (const file of files) await rm(file.path, { force: true })
    removed.files.push(...files)
  }
  if (spec !== undefined && removed.files.length === 0) throw notThere(name, place.hub)
  return removed
}

function filesMeant(all: SnapshotFile[], spec: RepoSpec, commit: string): SnapshotFile[] {
  if (spec.revision !== "main" && spec.revision !== commit) return []
  if (spec.file === undefined && spec.quant === undefined) return all
  try {
    const { files } = chooseFiles(
      all.map((file) => file.name),
      spec,
    )
    return all.filter((file) => files.includes(file.name))
  } catch {
    return []
  }
}

/** Blobs that no link of any snapshot names any more; unfinished ones only go with the whole repository. */
async function removeBlobs(place: RepoPlace, removed: Removed): Promise<void> {
  const blobs = join(repoFolder(place), "blobs")
  const needed = new Set<string>()
  for (const commit of await listCommits(place))
    for (const { path } of await listSnapshot(place, commit)) {
      const target = await readlink(path).catch(() => undefined)
      if (target !== undefined) needed.add(basename(target))
    }
  for (const blob of (await ifThere(readdir(blobs))) ?? []) {
    if (needed.has(blob) || (blob.endsWith(".incomplete") && !removed.whole)) continue
    const path = join(blobs, blob)
    const file = await lstat(path)
    if (file.isDirectory() || !path.startsWith(blobs + sep)) continue
    await rm(path, { force: true })
    removed.bytes += file.size
  }
}

/** Empty folders go, and refs that name a snapshot which is no more. */
async function tidy(place: RepoPlace): Promise<void> {
  const folder = repoFolder(place)
  for (const commit of await listCommits(place)) await removeEmpty(snapshotPath(place, commit))
  const left = await listCommits(place)
  if (left.length > 0) return
  await rm(join(folder, "refs"), { recursive: true, force: true })
  await rm(join(folder, ".no_exist"), { recursive: true, force: true })
  await removeEmpty(folder)
}

async function removeEmpty(folder: string): Promise<void> {
  for (const entry of (await ifThere(readdir(folder, { withFileTypes: true }))) ?? [])
    if (entry.isDirectory()) await removeEmpty(join(folder, entry.name))
  await rmdir(folder).catch(() => {})
}

function notThere(name: string, hub: string): ForerunError {
  return new ForerunError("E_MODEL_NOT_FOUND", `${name} is not in the cache ${hub}`, {
    hint: "forerun ls lists what is",
  })
}
