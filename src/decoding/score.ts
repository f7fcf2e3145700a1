/** Log-probabilities of given tokens, for many sequences at once: what they share is read once. */
import { ForerunError } from "../base/errors.ts"
import { settleAll } from "../base/settle.ts"
import { blockSize } from "../models/builder.ts"
import type { KvCache } from "../runtime/kv-cache.ts"
import type { ModelRunner } from "../runtime/pass.ts"
import { logSumExp } from "../tensor/math.ts"

export interface ScoreRequest {
  readonly tokens: Int32Array
  /** First token whose log-probability is wanted, at least 1: the first token of all has none. */
  readonly from: number
  /** Shown the row of logits that each scored token is taken from, in order; the row is not to be kept. */
  readonly look?: (logits: Float32Array) => void
}

interface Work extends ScoreRequest {
  /** Natural logarithms, [tokens.length - from]. */
  readonly logprobs: number[]
}

/**
 * Each token given all before it. The sequences are read as a tree: every shared run of tokens once, into a cache that
 * is forked where they part; branches ask for their passes at the same time, so a runner may merge them.
 * @returns for each request the log-probabilities of tokens `from` to the last
 * @throws E_INPUT, E_CONTEXT_LENGTH, E_ABORTED
 */
export async function scoreSequences(
  runner: ModelRunner,
  requests: readonly ScoreRequest[],
  signal: AbortSignal,
): Promise<number[][]> {
  for (const { tokens, from } of requests) check(tokens, from, runner.config.context)
  const work = requests.map((request) => ({ ...request, logprobs: [] }))
  const roots = [...groupBy(work, ({ tokens }) => tokens[0]!).values()]
  await settleAll(roots.map((group) => readTree(runner, runner.openCache(), { group, start: 0 }, signal)))
  return work.map(({ logprobs }) => logprobs)
}

/** Sequences that agree on their first `start + 1` tokens, the first `start` of which are in the cache. */
interface Subtree {
  readonly group: readonly Work[]
  readonly start: number
}

/** Takes the cache over and disposes it. */
async function readTree(
  runner: ModelRunner,
  cache: KvCache,
  { group, start }: Subtree,
  signal: AbortSignal,
): Promise<void> {
  try {
    const end = sharedLength(group, start)
    for (let at = start; at < end; ) {
      if (signal.aborted) throw new ForerunError("E_ABORTED", "scoring was aborted")
      const stop = Math.min(end, at + blockSize - (at % blockSize))
      await readRows(runner, cache, { group, start: at }, stop)
      at = stop
    }
    const longer = group.filter(({ tokens }) => tokens.length > end + 1)
    const parts = [...groupBy(longer, ({ tokens }) => tokens[end]!).values()]
    await settleAll(parts.map((part) => readTree(runner, cache.fork(), { group: part, start: end }, signal)))
  } finally {
    cache.dispose()
  }
}

/** One pass over tokens `start` to `end`: scores what follows each of them, and keeps them if somebody reads on. */
async function readRows(runner: ModelRunner, cache: KvCache, { group, start }: Subtree, end: number): Promise<void> {
  const { vocabulary } = runner.config
  const rows = Array.from({ length: end - start }, (_, row) => row)
  const firstWanted = Math.min(...group.map(({ from }) => from)) - 1
  const wanted = rows.filter((row) => start + row >= firstWanted)
  const input = { tokens: group[0]!.tokens.subarray(start, end) }
  const pass = await runner.forward({ input, cache, want: { logits: wanted.length > 0 ? wanted : "none" } })
  if (group.some(({ tokens }) => tokens.length > end + 1)) pass.keep(rows)
  for (const [i, row] of wanted.entries()) {
    const logits = pass.logits!.data.subarray(i * vocabulary, (i + 1) * vocabulary)
    const normaliser = logSumExp(logits)
    for (const { tokens, from, logprobs, look } of group) {
      const next = start + row + 1
      if (next < from || next >= tokens.length) continue
      logprobs.push(logits[tokens[next]!]! - normaliser)
      look?.(logits)
    }
  }
}

/** How far all agree; the last token of a sequence is never read, only scored. */
function sharedLength(group: readonly Work[], start: number): number {
  const [first, ...others] = group.map(({ tokens }) => tokens)
  let end = start
  const shortest = Math.min(...group.map(({ tokens }) => tokens.length))
  while (end < shortest - 1 && others.every((tokens) => tokens[end] === first![end])) end++
  return end
}

function groupBy<T>(items: readonly T[], key: (item: T) => number): Map<number, T[]> {
  const groups = new Map<number, T[]>()
  for (const item of items) {
    const group = groups.get(key(item))
    if (group) group.push(item)
    else groups.set(key(item), [item])
  }
  return groups
}

function check(tokens: Int32Array, from: number, context: number): void {
  if (tokens.length < 2) throw new ForerunError("E_INPUT", `scoring needs at least 2 tokens, found ${tokens.length}`)
  if (!Number.isInteger(from) || from < 1 || from >= tokens.length)
    throw new ForerunError("E_INPUT", `scoring begins at a token from 1 to ${tokens.length - 1}, found ${from}`)
  if (tokens.length > context)
    throw new ForerunError("E_CONTEXT_LENGTH", `${tokens.length} tokens do not fit the context of ${context}`)
}
