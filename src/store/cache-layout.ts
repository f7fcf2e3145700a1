/** The Hugging Face cache layout: models--org--name/{blobs,refs,snapshots}. Only names, links and refs; no transfer. */
import { randomUUID } from "node:crypto"
import { constants, copyFile, link, mkdir, readFile, rename, rm, stat, symlink, writeFile } from "node:fs/promises"
import { dirname, join, relative } from "node:path"
import { ForerunError } from "../base/errors.ts"
import { ifThere } from "./io-error.ts"
import { isSafeFileName, isSafeRevision } from "./model-spec.ts"

export type RepoPlace = { hub: string; repo: string }

export function repoFolder({ hub, repo }: RepoPlace): string {
  return join(hub, `models--${repo.split("/").join("--")}`)
}

export function blobPath(place: RepoPlace, key: string): string {
  if (!isBlobKey(key)) throw new ForerunError("E_DOWNLOAD", `the hub named a blob ${JSON.stringify(key.slice(0, 80))}`)
  return join(repoFolder(place), "blobs", key)
}

/** Where a blob lies until it is whole and checked. */
export function partPath(place: RepoPlace, key: string): string {
  return `${blobPath(place, key)}.incomplete`
}

export function snapshotPath(place: RepoPlace, commit: string, file = ""): string {
  if (!isCommit(commit) || (file !== "" && !isSafeFileName(file)))
    throw new ForerunError(
      "E_DOWNLOAD",
      `the hub named ${JSON.stringify(`${commit}/${file}`.slice(0, 200))}: not a safe name`,
    )
  return join(repoFolder(place), "snapshots", commit, file)
}

/** Beside huggingface_hub's own locks, under a name it does not use. */
export function lockPath(place: RepoPlace, key: string): string {
  return join(place.hub, ".locks", `models--${place.repo.split("/").join("--")}`, `${key}.forerun.lock`)
}

export function isCommit(commit: string): boolean {
  return /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/.test(commit)
}

function isBlobKey(key: string): boolean {
  return /^[A-Za-z0-9_-][A-Za-z0-9_.-]{0,127}$/.test(key) && !/\.(incomplete|lock)$/.test(key)
}

/** Makes snapshots/<commit>/<file> show the blob `key`: a relative link, or a hard link or copy where links fail. */
export async function linkSnapshot(place: RepoPlace, commit: string, file: string, key: string): Promise<string> {
  const blob = blobPath(place, key)
  const path = snapshotPath(place, commit, file)
  await mkdir(dirname(path), { recursive: true })
  const [there, wanted] = await Promise.all([ifThere(stat(path)), stat(blob)])
  if (there?.ino === wanted.ino && there.dev === wanted.dev) return path
  // Made under another name and renamed, so that a reader never finds the name missing.
  const temporary = `${path}.${randomUUID().slice(0, 8)}.tmp`
  try {
    await symlink(relative(dirname(path), blob), temporary)
      .catch(() => link(blob, temporary))
      .catch(() => copyFile(blob, temporary, constants.COPYFILE_FICLONE))
    await rename(temporary, path)
  } finally {
    await rm(temporary, { force: true })
  }
  return path
}

export async function writeRef(place: RepoPlace, revision: string, commit: string): Promise<void> {
  if (revision === commit) return
  const path = refPath(place, revision)
  await mkdir(dirname(path), { recursive: true })
  const temporary = `${path}.${randomUUID().slice(0, 8)}.tmp`
  await writeFile(temporary, commit)
  await rename(temporary, path)
}

/** The commit that `revision` named when it was last pulled. */
export async function readRef(place: RepoPlace, revision: string): Promise<string | undefined> {
  const text = (await ifThere(readFile(refPath(place, revision), "utf8")))?.trim()
  return text !== undefined && isCommit(text) ? text : undefined
}

function refPath(place: RepoPlace, revision: string): string {
  if (!isSafeRevision(revision)) throw new ForerunError("E_OPTION", `not a revision: ${JSON.stringify(revision)}`)
  return join(repoFolder(place), "refs", revision)
}
