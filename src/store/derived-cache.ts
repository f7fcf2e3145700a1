/** Cache of weights converted from downloaded ones: whole entries only, bounded in size, never a reason to fail. */
import { randomUUID } from "node:crypto"
import { mkdir, open, readdir, rename, rm, stat, utimes, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { ForerunError } from "../base/errors.ts"
import { errnoOf, ifThere, ioError, isDiskProblem } from "./io-error.ts"
import { derivedCacheFolder, type Environment } from "./locations.ts"

export type DerivedCacheOptions = {
  env?: Environment | undefined
  /** Told when the disk does not play along and the caller has to do without the cache. */
  onProblem?: ((problem: ForerunError) => void) | undefined
}

const defaultMaxBytes = 8 * 1024 ** 3
const dayMs = 24 * 60 * 60 * 1000

/** Where the entry `key` lies, whether or not it exists. Keys are [a-z0-9._-]+, not starting with a dot. */
export function derivedPath(key: string, options: DerivedCacheOptions = {}): string {
  if (!/^[a-z0-9_-][a-z0-9._-]{0,199}$/.test(key))
    throw new ForerunError("E_OPTION", `not a cache key: ${JSON.stringify(key.slice(0, 100))}`)
  return join(derivedCacheFolder(options.env), key)
}

/** The folder of entry `key` if it exists, marked as used just now and as in use until this process ends or releases it. */
export async function useDerived(key: string, options: DerivedCacheOptions = {}): Promise<string | undefined> {
  const path = derivedPath(key, options)
  try {
    if (maxBytesOf(options) === 0 || (await ifThere(stat(path))) === undefined) return undefined
    // The mark comes before the second look: eviction moves the entry away first and then looks for marks.
    await mark(key, options).catch(() => {})
    const now = new Date()
    await utimes(path, now, now).catch(() => {})
    return (await ifThere(stat(path)))?.isDirectory() ? path : undefined
  } catch (thrown) {
    return giveUp(thrown, `cannot use ${path}`, options)
  }
}

/** Lets eviction remove `key` again, as far as this process is concerned. */
export async function releaseDerived(key: string, options: DerivedCacheOptions = {}): Promise<void> {
  derivedPath(key, options)
  await rm(markPath(key, process.pid, options), { force: true }).catch(() => {})
}

/** Removes the entry `key`, so that another may be written in its place. Files that are open stay readable. */
export async function removeDerived(key: string, options: DerivedCacheOptions = {}): Promise<void> {
  const path = derivedPath(key, options)
  const temporary = join(derivedCacheFolder(options.env), `${temporaryPrefix()}${randomUUID().slice(0, 8)}`)
  await rename(path, temporary).catch(() => {})
  await rm(temporary, { recursive: true, force: true }).catch(() => {})
}

/**
 * Lets `writer` fill a new folder and gives it the name `key` when it is complete. Returns the folder, in use by this
 * process; undefined when the disk is full, read-only or the cache is off (FORERUN_CACHE_BYTES=0). An entry that is
 * there already is kept, and `writer` is not called. What `writer` itself throws is thrown on, unless the disk is why.
 */
export async function writeAtomically(
  key: string,
  writer: (folder: string) => Promise<void>,
  options: DerivedCacheOptions = {},
): Promise<string | undefined> {
  const path = derivedPath(key, options)
  if (maxBytesOf(options) === 0) return undefined
  const there = await useDerived(key, options)
  if (there !== undefined) return there
  const root = derivedCacheFolder(options.env)
  const temporary = join(root, `${temporaryPrefix()}${randomUUID().slice(0, 8)}`)
  try {
    await mkdir(temporary, { recursive: true })
    await cleanTemporary(root)
    await writer(temporary)
    // Else a power cut could leave the name without the bytes.
    await syncFiles(temporary)
    await mark(key, options)
    await rename(temporary, path).catch((thrown) => {
      // Another process was faster; its entry is as good.
      if (!["ENOTEMPTY", "EEXIST"].includes(errnoOf(thrown) ?? "")) throw thrown
    })
    await evictDerived(options)
    return path
  } catch (thrown) {
    await releaseDerived(key, options)
    if (isDiskProblem(thrown)) return giveUp(thrown, `cannot keep ${key} in the cache`, options)
    throw thrown
  } finally {
    await rm(temporary, { recursive: true, force: true }).catch(() => {})
  }
}

/** Removes the entries not used for longest until all fit into FORERUN_CACHE_BYTES; none that a live process uses. */
export async function evictDerived(options: DerivedCacheOptions = {}): Promise<string[]> {
  const root = derivedCacheFolder(options.env)
  const removed: string[] = []
  const entries = (await listDerived(options)).sort((a, b) => a.usedMs - b.usedMs)
  let total = entries.reduce((sum, entry) => sum + entry.bytes, 0)
  for (const { key, bytes } of entries) {
    if (total <= maxBytesOf(options)) break
    if (await isInUse(key, options)) continue
    const temporary = join(root, `${temporaryPrefix()}${randomUUID().slice(0, 8)}`)
    try {
      await rename(join(root, key), temporary)
      // Somebody may have begun to use it between the look and the move.
      if (await isInUse(key, options)) {
        await rename(temporary, join(root, key))
        continue
      }
      await rm(temporary, { recursive: true, force: true })
      total -= bytes
      removed.push(key)
    } catch (thrown) {
      giveUp(thrown, `cannot remove ${key} from the cache`, options)
    }
  }
  return removed
}

export type DerivedEntry = { key: string; bytes: number; usedMs: number; path: string }

export async function listDerived(options: DerivedCacheOptions = {}): Promise<DerivedEntry[]> {
  const root = derivedCacheFolder(options.env)
  const names = (await ifThere(readdir(root, { withFileTypes: true }))) ?? []
  const keys = names.filter((entry) => entry.isDirectory() && !entry.name.startsWith(".")).map(({ name }) => name)
  return Promise.all(
    keys.map(async (key) => {
      const path = join(root, key)
      const files = (await ifThere(readdir(path, { recursive: true, withFileTypes: true }))) ?? []
      const sizes = await Promise.all(
        files.filter((file) => file.isFile()).map((file) => ifThere(stat(join(file.parentPath, file.name)))),
      )
      const usedMs = (await ifThere(stat(path)))?.mtimeMs ?? 0
      return { key, path, usedMs, bytes: sizes.reduce((sum, file) => sum + (file?.size ?? 0), 0) }
    }),
  )
}

/** Temporary folders carry the process that fills them, so that those of dead ones can be told. */
export function temporaryPrefix(): string {
  return `.tmp-${process.pid}-`
}

/** Removes what killed processes left half-written in `root`. */
export async function cleanTemporary(root: string): Promise<void> {
  for (const name of (await ifThere(readdir(root))) ?? []) {
    const pid = /^\.tmp-(\d+)-/.exec(name)?.[1]
    if (pid === undefined) continue
    const age = Date.now() - ((await ifThere(stat(join(root, name))))?.mtimeMs ?? Date.now())
    // A process number is given again some day, hence the age.
    if (!isAlive(Number(pid)) || age > 7 * dayMs)
      await rm(join(root, name), { recursive: true, force: true }).catch(() => {})
  }
}

function maxBytesOf(options: DerivedCacheOptions): number {
  const text = (options.env ?? process.env).FORERUN_CACHE_BYTES
  if (text === undefined || text === "") return defaultMaxBytes
  if (!/^\d{1,15}$/.test(text))
    throw new ForerunError("E_OPTION", `FORERUN_CACHE_BYTES is ${JSON.stringify(text)}`, {
      hint: "a number of bytes; 0 turns the cache off",
    })
  return Number(text)
}

function markPath(key: string, pid: number, options: DerivedCacheOptions): string {
  return join(derivedCacheFolder(options.env), ".in-use", `${key}@${pid}`)
}

async function mark(key: string, options: DerivedCacheOptions): Promise<void> {
  await mkdir(join(derivedCacheFolder(options.env), ".in-use"), { recursive: true })
  await writeFile(markPath(key, process.pid, options), "")
}

/** Also forgets the marks of processes that are gone. */
async function isInUse(key: string, options: DerivedCacheOptions): Promise<boolean> {
  const folder = join(derivedCacheFolder(options.env), ".in-use")
  let used = false
  for (const name of (await ifThere(readdir(folder))) ?? []) {
    const at = name.lastIndexOf("@")
    const pid = Number(name.slice(at + 1))
    if (name.slice(0, at) !== key) continue
    if (isAlive(pid)) used = true
    else await rm(join(folder, name), { force: true }).catch(() => {})
  }
  return used
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (thrown) {
    return errnoOf(thrown) === "EPERM"
  }
}

async function syncFiles(folder: string): Promise<void> {
  for (const file of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!file.isFile()) continue
    const handle = await open(join(file.parentPath, file.name), "r+")
    await handle.sync().finally(() => handle.close())
  }
}

function giveUp(thrown: unknown, what: string, options: DerivedCacheOptions): undefined {
  options.onProblem?.(ioError(thrown, what))
  return undefined
}
