/** A runner in the test's own thread, and the few things tests do with one. */
import { type Checkpoint, openCheckpoint } from "../../src/models/files/checkpoint.ts"
import type { WeightFormat } from "../../src/models/formats.ts"
import type { HostCache } from "../../src/runtime/kv-cache.ts"
import { loadRunner } from "../../src/runtime/load-runner.ts"
import type { SessionRunner } from "../../src/runtime/model-runner.ts"

export interface TestRunner {
  readonly runner: SessionRunner
  readonly checkpoint: Checkpoint
  dispose(): Promise<void>
}

export async function openRunner(path: string, weights: WeightFormat = "f32", threads = 2): Promise<TestRunner> {
  const checkpoint = openCheckpoint(path)
  const runner = await loadRunner(checkpoint, { weights, threads, device: "cpu" })
  return {
    runner,
    checkpoint,
    async dispose() {
      await runner.dispose()
      checkpoint.close()
    },
  }
}

export const range = (count: number, start = 0): number[] => Array.from({ length: count }, (_, i) => start + i)

/** Row `row` of a matrix of `columns`. */
export const rowOf = (data: Float32Array, row: number, columns: number): Float32Array =>
  data.subarray(row * columns, (row + 1) * columns)

/** Index of the largest, the first of several. */
export function largest(values: Float32Array): number {
  let best = 0
  for (let i = 1; i < values.length; i++) if (values[i]! > values[best]!) best = i
  return best
}

/** Largest absolute difference; a NaN on either side makes it NaN, which no limit lets pass. */
export function maxDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) return Number.NaN
  let worst = 0
  for (let i = 0; i < a.length; i++) {
    const difference = Math.abs(a[i]! - b[i]!)
    if (!(difference <= worst)) worst = difference
    if (Number.isNaN(worst)) return worst
  }
  return worst
}

/** The prompt into the cache, then `count` likeliest tokens one by one. @returns tokens and each step's logits */
export async function greedy(
  runner: SessionRunner,
  prompt: readonly number[],
  count: number,
): Promise<{ tokens: number[]; logits: Float32Array[] }> {
  const cache = runner.openCache()
  const tokens: number[] = []
  const logits: Float32Array[] = []
  let input = Int32Array.from(prompt)
  while (tokens.length < count) {
    const pass = await runner.forward({ input: { tokens: input }, cache, want: { logits: "last" } })
    pass.keep(range(input.length))
    logits.push(pass.logits!.data)
    tokens.push(largest(pass.logits!.data))
    input = Int32Array.of(tokens.at(-1)!)
  }
  cache.dispose()
  return { tokens, logits }
}

/** A cache that holds these tokens, read in one pass (the runner cuts it at block ends). */
export async function cacheOf(runner: SessionRunner, tokens: readonly number[]): Promise<HostCache> {
  const cache = runner.openCache()
  if (tokens.length === 0) return cache
  const pass = await runner.forward({ input: { tokens: Int32Array.from(tokens) }, cache })
  pass.keep(range(tokens.length))
  return cache
}

export function logSumExp64(values: ArrayLike<number>): number {
  let max = Number.NEGATIVE_INFINITY
  for (let i = 0; i < values.length; i++) max = Math.max(max, values[i]!)
  let sum = 0
  for (let i = 0; i < values.length; i++) sum += Math.exp(values[i]! - max)
  return max + Math.log(sum)
}
