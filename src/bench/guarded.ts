/** One error for whatever an abort makes a measurement throw. */
import { ForerunError } from "../base/errors.ts"

/** What an abort throws differs by where it lands; callers see E_ABORTED. */
export async function guarded<T>(signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
  try {
    signal?.throwIfAborted()
    return await work()
  } catch (thrown) {
    if (signal?.aborted) throw new ForerunError("E_ABORTED", "the measurement was aborted", { cause: thrown })
    throw thrown
  }
}
