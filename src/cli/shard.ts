/** One of n processes at once, each with its part of the work. */
import { usageError } from "./output.ts"

/** @param text "i/n", i from 1 to n; undefined: all of the work */
export function shardOf(text = "1/1"): { readonly index: number; readonly of: number } {
  const [, i, of] = (/^(\d+)\/(\d+)$/.exec(text) ?? []).map(Number)
  if (i !== undefined && of !== undefined && i >= 1 && i <= of) return { index: i - 1, of }
  throw usageError(`--shard ${text}: it must be i/n, i from 1 to n`)
}
