/** Greedy decoding, and the rollout attack: at each step the token whose greedy future is likeliest, loops left aside. */
import { settleAll } from "../../base/settle.ts"
import type { KvCache } from "../../runtime/kv-cache.ts"
import type { ModelRunner } from "../../runtime/pass.ts"
import { logSumExp, topK } from "../../tensor/math.ts"
import { greedyToken } from "./score.ts"

export interface DecodeRules {
  readonly steps: number
  readonly stopIds: ReadonlySet<number>
  readonly signal: AbortSignal
}

/** A beginning that was read: `cache` holds it, `logits` [vocabulary] follow it. Neither is written. */
export interface Beginning {
  readonly cache: KvCache
  readonly logits: Float32Array
}

export async function readBeginning(runner: ModelRunner, past: KvCache, tokens: Int32Array): Promise<Beginning> {
  const cache = past.fork()
  try {
    const pass = await runner.forward({ input: { tokens }, cache, want: { logits: "last" } })
    pass.keep(Array.from(tokens, (_, row) => row))
    return { cache, logits: pass.logits!.data }
  } catch (thrown) {
    cache.dispose()
    throw thrown
  }
}

/** Up to and without a stop id. */
export async function greedyTokens(runner: ModelRunner, from: Beginning, rules: DecodeRules): Promise<number[]> {
  return decode(runner, from, rules, async (logits) => greedyToken(logits).id)
}

export interface RolloutRules extends DecodeRules {
  /** Likeliest tokens that are tried at each step. */
  readonly width: number
  /** Greedy tokens behind each. */
  readonly depth: number
}

export async function rolloutTokens(runner: ModelRunner, from: Beginning, rules: RolloutRules): Promise<number[]> {
  return decode(runner, from, rules, async (logits, cache) => {
    const normaliser = logSumExp(logits)
    const { ids, values } = topK(logits, rules.width)
    const tried = await settleAll(
      Array.from(ids, (id, i) => rollOut(runner, cache, { id, logprob: values[i]! - normaliser }, rules)),
    )
    return chooseRollout(tried).id
  })
}

export interface Rollout {
  readonly id: number
  /** The tried token first. */
  readonly tokens: readonly number[]
  readonly meanLogprob: number
}

/** The best mean log-probability among those with more than two different tokens; among all where there are none. */
export function chooseRollout(tried: readonly Rollout[]): Rollout {
  const varied = tried.filter(({ tokens }) => new Set(tokens).size > 2)
  const field = varied.length > 0 ? varied : tried
  return field.reduce((best, one) => (one.meanLogprob > best.meanLogprob ? one : best))
}

async function rollOut(
  runner: ModelRunner,
  past: KvCache,
  first: { readonly id: number; readonly logprob: number },
  { depth }: RolloutRules,
): Promise<Rollout> {
  const cache = past.fork()
  const tokens = [first.id]
  let sum = first.logprob
  try {
    for (let step = 0; step < depth; step++) {
      const input = { tokens: Int32Array.of(tokens.at(-1)!) }
      const pass = await runner.forward({ input, cache, want: { logits: "last" } })
      pass.keep([0])
      const { id, prob } = greedyToken(pass.logits!.data)
      tokens.push(id)
      sum += Math.log(prob)
    }
  } finally {
    cache.dispose()
  }
  return { id: first.id, tokens, meanLogprob: sum / tokens.length }
}

type Choose = (logits: Float32Array, cache: KvCache) => Promise<number>

async function decode(runner: ModelRunner, from: Beginning, rules: DecodeRules, choose: Choose): Promise<number[]> {
  const { steps, stopIds, signal } = rules
  const cache = from.cache.fork()
  const tokens: number[] = []
  let { logits } = from
  try {
    while (tokens.length < steps && !signal.aborted) {
      const id = await choose(logits, cache)
      if (stopIds.has(id)) break
      tokens.push(id)
      if (tokens.length === steps) break
      const pass = await runner.forward({ input: { tokens: Int32Array.of(id) }, cache, want: { logits: "last" } })
      pass.keep([0])
      logits = pass.logits!.data
    }
    return tokens
  } finally {
    cache.dispose()
  }
}
