/** File system failures as typed errors, and the few codes the store acts on. */
import { ForerunError } from "../base/errors.ts"

export function errnoOf(thrown: unknown): string | undefined {
  const code = thrown instanceof Error ? (thrown as NodeJS.ErrnoException).code : undefined
  return typeof code === "string" ? code : undefined
}

/** True when the disk, not the program, is the reason: full, over quota, read-only, not ours. */
export function isDiskProblem(thrown: unknown): boolean {
  const codes = ["ENOSPC", "EDQUOT", "EROFS", "EACCES", "EPERM", "EIO", "EMFILE", "ENFILE", "EFBIG", "ENOTDIR"]
  if (thrown instanceof ForerunError) return thrown.code === "E_IO"
  return codes.includes(errnoOf(thrown) ?? "")
}

/** `thrown` as E_IO (typed errors pass through), with a hint where the cause is common. */
export function ioError(thrown: unknown, what: string): ForerunError {
  if (thrown instanceof ForerunError) return thrown
  const code = errnoOf(thrown)
  const reason = thrown instanceof Error ? thrown.message : String(thrown)
  const hint = code === undefined ? undefined : hints[code]
  return new ForerunError("E_IO", `${what}: ${reason}`, { cause: thrown, ...(hint === undefined ? {} : { hint }) })
}

const hints: Record<string, string> = {
  ENOSPC: "the disk is full; free some space and run again, what has arrived is kept",
  EDQUOT: "the disk quota is used up; free some space and run again, what has arrived is kept",
  EROFS: "the disk is read-only; point HF_HUB_CACHE or FORERUN_CACHE to one that is not",
  EACCES: "no permission; point HF_HUB_CACHE or FORERUN_CACHE to a folder of yours",
}

/** `promise`'s value, or undefined when the file is not there (or a parent is not a folder). */
export async function ifThere<T>(promise: Promise<T>): Promise<T | undefined> {
  try {
    return await promise
  } catch (thrown) {
    if (["ENOENT", "ENOTDIR", "ELOOP", "EACCES"].includes(errnoOf(thrown) ?? "")) return undefined
    throw thrown
  }
}

export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw abortedError(signal)
}

export function abortedError(signal?: AbortSignal | undefined): ForerunError {
  return new ForerunError("E_ABORTED", "aborted", { cause: signal?.reason })
}
