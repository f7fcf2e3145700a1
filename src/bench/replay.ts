/** A method run again over an answer that was recorded: what it drafts and how much of that comes true, without a model. */

import { pointLaw } from "../decoding/law.ts"
import type { Context, Method } from "../decoding/method.ts"
import { resolveOptions } from "../decoding/options.ts"
import type { Sampler } from "../decoding/sampler.ts"
import type { RowCost } from "../runtime/cost-estimate.ts"
import type { KvCache } from "../runtime/kv-cache.ts"
import { Ledger } from "../runtime/ledger.ts"
import type { Ability, ForwardPass, ForwardResult, ModelRunner } from "../runtime/pass.ts"
import { createRandom } from "../tensor/random.ts"

/** What a target answered, greedily. */
export interface RecordedAnswer {
  readonly id: string | number
  /** The task it belongs to. */
  readonly source: string
  readonly prompt: readonly number[]
  readonly answer: readonly number[]
  /** The tokens that the caller expected, for methods that draft from them. */
  readonly prediction?: readonly number[]
}

export interface ReplaySettings extends Pick<Context, "tokenizer"> {
  readonly config: ModelRunner["config"]
  /** What the method believes that rows cost. */
  readonly believed: RowCost
  readonly options?: Readonly<Record<string, unknown>>
}

/** A verification pass. */
export interface ReplayedRound {
  /** The pending token's row included. */
  readonly rows: number
  /** Tokens committed. */
  readonly tokens: number
}

/**
 * Rounds of a method whose drafts need no model: greedy decoding takes the same way whatever is drafted, so the recorded
 * answer stands for the target. The first token comes out of the prompt's pass and is no round's.
 */
export async function replay(
  method: Method,
  { prompt, answer, prediction }: RecordedAnswer,
  { config, tokenizer, believed, options }: ReplaySettings,
): Promise<ReplayedRound[]> {
  const run = method.run(
    { tokens: Int32Array.from(prompt) },
    {
      models: { target: recordedTarget([...prompt, ...answer], config) },
      options: resolveOptions(method, options),
      tokenizer,
      sampler: sayNext,
      random: createRandom(1),
      limits: { maxTokens: answer.length, stopIds: new Set() },
      cost: believed,
      ...(method.prediction && prediction ? { prediction } : {}),
      signal: new AbortController().signal,
    },
  )
  const rounds: ReplayedRound[] = []
  let rows = 0
  for await (const step of run) {
    if (step.type === "draft-proposed") rows = 1 + step.tree.tokens.length
    if (step.type !== "tokens-committed" || rows === 0) continue
    rounds.push({ rows, tokens: step.tokens.length })
    rows = 0
  }
  return rounds
}

/** Its logits are one number a row: the token that the recorded text has next. */
function recordedTarget(text: readonly number[], config: ModelRunner["config"]): ModelRunner {
  return {
    config,
    abilities: new Set<Ability>(["causal-cache", "tree-mask", "any-mask", "explicit-positions"]),
    ledger: new Ledger(),
    openCache: () => new CountedCache(0),
    async forward({ input, positions, cache, want = {} }: ForwardPass): Promise<ForwardResult> {
      const count = "tokens" in input ? input.tokens.length : 0
      const past = cache as CountedCache
      const next = (row: number) => text[(positions?.[row] ?? past.length + row) + 1] ?? 0
      const all = Float32Array.from({ length: count }, (_, row) => next(row))
      const data = want.logits === "last" ? all.subarray(count - 1) : all
      return {
        logits: { data, rows: data.length, columns: 1 },
        hidden: new Map(),
        keep(rows) {
          past.length += rows.length
        },
      }
    },
  }
}

class CountedCache implements KvCache {
  length: number

  constructor(length: number) {
    this.length = length
  }

  fork(): KvCache {
    return new CountedCache(this.length)
  }

  rewind(length: number): void {
    this.length = length
  }

  dispose(): void {}
}

/** Reads what `recordedTarget` gives. */
const sayNext: Sampler = {
  greedy: true,
  law: (logits) => pointLaw(logits[0]!),
  draw: (law) => law.ids[0]!,
  pick: (logits) => logits[0]!,
}

export interface ReplaySummary {
  readonly source: string
  readonly answers: number
  /** Decoded tokens over all rounds. */
  readonly meanAcceptedLength: number
  readonly draftedPerRound: number
  /** Plain passes over what the rounds cost, sums over answers. */
  readonly speedup: number
  /** Of the single answers: the lowest, and how many fell below 0.98. */
  readonly worst: number
  readonly below: number
}

/** @param actual what rows cost; with `overhead`, the share of a plain pass that each round takes besides */
export function summariseReplay(
  source: string,
  answers: readonly (readonly ReplayedRound[])[],
  { actual, overhead }: { readonly actual: RowCost; readonly overhead: number },
): ReplaySummary {
  const sum = (rounds: readonly ReplayedRound[], value: (round: ReplayedRound) => number) =>
    rounds.reduce((total, round) => total + value(round), 0)
  const tokensOf = (rounds: readonly ReplayedRound[]) => sum(rounds, ({ tokens }) => tokens)
  const costOf = (rounds: readonly ReplayedRound[]) => sum(rounds, ({ rows }) => actual(rows) + overhead)
  const all = answers.flat()
  const single = answers.filter((rounds) => rounds.length > 0).map((rounds) => tokensOf(rounds) / costOf(rounds))
  return {
    source,
    answers: answers.length,
    meanAcceptedLength: tokensOf(all) / all.length,
    draftedPerRound: sum(all, ({ rows }) => rows - 1) / all.length,
    speedup: tokensOf(all) / costOf(all),
    worst: Math.min(...single),
    below: single.filter((speedup) => speedup < lowest).length,
  }
}

/** What a method that chooses for itself may lose. */
const lowest = 0.98
