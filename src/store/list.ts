/** The models on this disk: every snapshot in the Hugging Face cache, and what lies in FORERUN_MODELS. */
import { readdir, stat } from "node:fs/promises"
import { join } from "node:path"
import { type RepoPlace, readRef, repoFolder, snapshotPath } from "./cache-layout.ts"
import { isFirstPart, stemOf } from "./choose-files.ts"
import { listCommits, listSnapshot, missingShards } from "./find-in-cache.ts"
import { isCheckpoint, type ModelFolder, walkModelFolders } from "./find-in-folders.ts"
import { ifThere } from "./io-error.ts"
import { type Environment, hubCacheFolder, modelFolders } from "./locations.ts"

export type ListedModel = {
  /** Goes into `-m`. */
  name: string
  source: "cache" | "FORERUN_MODELS"
  path: string
  revision: string | undefined
  files: { name: string; bytes: number }[]
  bytes: number
  /** False while parts are missing: an unfinished download, a link to nothing, shards that the index names. */
  complete: boolean
}

/** Lists all models, those of FORERUN_MODELS first, as they are found first. */
export async function listModels(options: { env?: Environment | undefined } = {}): Promise<ListedModel[]> {
  const listed: ListedModel[] = []
  for (const root of modelFolders(options.env))
    for (const folder of await walkModelFolders(root)) listed.push(...(await modelsIn(folder)))
  const hub = hubCacheFolder(options.env)
  for (const name of ((await ifThere(readdir(hub))) ?? []).sort()) {
    const repo = /^models--(.+)$/.exec(name)?.[1]?.replace("--", "/")
    if (repo !== undefined) listed.push(...(await snapshotsOf({ hub, repo })))
  }
  return listed
}

async function modelsIn(folder: ModelFolder): Promise<ListedModel[]> {
  const sized = await Promise.all(
    folder.files.map(async (name) => ({ name, bytes: (await ifThere(stat(join(folder.path, name))))?.size ?? 0 })),
  )
  const model = (name: string, path: string, files: ListedModel["files"]): ListedModel => {
    const bytes = files.reduce((sum, file) => sum + file.bytes, 0)
    const complete = files.every((file) => file.bytes > 0)
    return { name, source: "FORERUN_MODELS", path, revision: undefined, files, bytes, complete }
  }
  const models: ListedModel[] = []
  if (isCheckpoint(folder)) {
    const files = sized.filter(({ name }) => /\.(json|safetensors|txt|jinja|model)$/i.test(name))
    models.push(model(folder.name, folder.path, files))
  }
  for (const { name } of sized) {
    if (!/\.gguf$/i.test(name) || !isFirstPart(name)) continue
    const parts = sized.filter((file) => /\.gguf$/i.test(file.name) && stemOf(file.name, true) === stemOf(name, true))
    models.push(model(stemOf(name, true), join(folder.path, name), parts))
  }
  return models
}

async function snapshotsOf(place: RepoPlace): Promise<ListedModel[]> {
  const main = await readRef(place, "main")
  const commits = await listCommits(place)
  const blobs = (await ifThere(readdir(join(repoFolder(place), "blobs")))) ?? []
  const unfinished = blobs.some((blob) => blob.endsWith(".incomplete"))
  const models: ListedModel[] = []
  for (const commit of commits) {
    const all = await listSnapshot(place, commit)
    const files = all.map(({ name, bytes = 0 }) => ({ name, bytes })).sort((a, b) => a.name.localeCompare(b.name))
    const whole =
      all.every(({ bytes }) => bytes !== undefined) && all.some(({ name }) => /\.(gguf|safetensors)$/i.test(name))
    models.push({
      name: place.repo,
      source: "cache",
      path: snapshotPath(place, commit),
      revision: commit,
      files,
      bytes: files.reduce((sum, file) => sum + file.bytes, 0),
      // An unfinished blob can only belong to what was pulled last.
      complete: whole && (await missingShards(all)).length === 0 && !(unfinished && commit === (main ?? commits[0])),
    })
  }
  if (commits.length > 0 || !unfinished) return models
  const path = repoFolder(place)
  return [{ name: place.repo, source: "cache", path, revision: undefined, files: [], bytes: 0, complete: false }]
}
