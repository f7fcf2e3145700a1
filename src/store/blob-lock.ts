/** One writer per blob, across processes: a lock folder kept fresh by its holder and taken over when it goes stale. */
import { mkdir } from "node:fs/promises"
import { dirname } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { check, lock } from "proper-lockfile"
import { ForerunError } from "../base/errors.ts"
import { abortedError, errnoOf, ioError } from "./io-error.ts"

export type LockOptions = {
  signal?: AbortSignal | undefined
  /** How long to wait for another holder; then E_LOCKED. */
  timeoutMs?: number | undefined
  /** A lock not refreshed for this long belonged to a process that died. At least 2 s. */
  staleMs?: number | undefined
}

/** Runs `work` while holding the lock at `path`; its signal aborts when the caller's does or when the lock is lost. */
export async function withLock<T>(
  path: string,
  options: LockOptions,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const { signal, timeoutMs = 600_000, staleMs = 10_000 } = options
  const controller = new AbortController()
  let lost: ForerunError | undefined
  const deadline = Date.now() + timeoutMs
  let release: (() => Promise<void>) | undefined
  try {
    await mkdir(dirname(path), { recursive: true })
    while (release === undefined) {
      if (signal?.aborted) throw abortedError(signal)
      release = await tryLock(path, staleMs, () => {
        lost = new ForerunError("E_LOCKED", `another process took over the lock ${path}`, { hint: "run again" })
        controller.abort(lost)
      })
      if (release !== undefined) break
      if (Date.now() >= deadline)
        throw new ForerunError("E_LOCKED", `another process has held this for ${timeoutMs} ms: ${path}`, {
          hint: "wait for it to end, then run again",
        })
      await sleep(Math.min(200, Math.max(1, deadline - Date.now())), undefined, signal ? { signal } : {}).catch(
        () => {},
      )
    }
  } catch (thrown) {
    throw ioError(thrown, `cannot lock ${path}`)
  }
  const forward = () => controller.abort(signal?.reason)
  if (signal?.aborted) forward()
  signal?.addEventListener("abort", forward, { once: true })
  try {
    return await work(controller.signal)
  } catch (thrown) {
    throw lost ?? thrown
  } finally {
    signal?.removeEventListener("abort", forward)
    if (lost === undefined) await release().catch(() => {})
  }
}

/** Whether a live process holds the lock at `path`. */
export async function isLocked(path: string, staleMs = 10_000): Promise<boolean> {
  return check(path, { lockfilePath: path, realpath: false, stale: staleMs })
}

async function tryLock(path: string, stale: number, onCompromised: () => void) {
  try {
    return await lock(path, { lockfilePath: path, realpath: false, stale, onCompromised })
  } catch (thrown) {
    if (errnoOf(thrown) === "ELOCKED") return undefined
    throw thrown
  }
}
