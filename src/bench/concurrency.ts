/** Tokens a second by the number of sequences that decode at the same time, with prompts of their own or one in common. */
import { setMaxListeners } from "node:events"
import { settleAll } from "../base/settle.ts"
import { loadModel } from "../generate/load.ts"
import type { Model, ModelCache } from "../generate/model.ts"
import type { WeightFormat } from "../models/formats.ts"
import { createRandom } from "../tensor/random.ts"
import { describeMachine, describeSource, type Machine, type Source } from "./machine.ts"
import { summary } from "./run-bench.ts"
import { median } from "./statistics.ts"
import type { BenchProgress, ModelSummary } from "./types.ts"

export interface ConcurrencyOptions {
  readonly model?: string
  readonly weights?: WeightFormat
  readonly threads?: number
  readonly offline?: boolean
  /** Numbers of sequences, default 1, 2, 4, 8, 16, 32, 64. */
  readonly sequences?: readonly number[]
  /** Tokens of each prompt, read beforehand; default 256. */
  readonly promptTokens?: number
  /** Tokens decoded for each sequence, default 24. */
  readonly tokens?: number
  /** Timed rounds of each, default 3; the median is reported. */
  readonly repetitions?: number
  readonly signal?: AbortSignal
  readonly onProgress?: (progress: BenchProgress) => void
  /** For tests. */
  readonly openModel?: () => Promise<Model>
}

export interface ConcurrencyRow {
  readonly sequences: number
  /** Of all sequences together: each with a prompt of its own, and all behind one prompt. */
  readonly tokensPerSecond: number
  readonly sharedTokensPerSecond: number
}

export interface ConcurrencyResult extends Source {
  readonly kind: "concurrency"
  readonly machine: Machine
  readonly model: ModelSummary
  readonly weights: WeightFormat
  readonly threads: number
  readonly promptTokens: number
  readonly tokens: number
  readonly repetitions: number
  readonly rows: readonly ConcurrencyRow[]
}

const defaults = { sequences: [1, 2, 4, 8, 16, 32, 64], promptTokens: 256, tokens: 24, repetitions: 3 }

/** @throws E_ABORTED, and what loading and generating throw */
export async function measureConcurrency(options: ConcurrencyOptions): Promise<ConcurrencyResult> {
  const { sequences, promptTokens, tokens, repetitions } = { ...defaults, ...options }
  const { signal, onProgress } = options
  if (signal) setMaxListeners(0, signal) // one for each sequence
  const model = await (options.openModel ?? (() => open(options)))()
  try {
    const rows: ConcurrencyRow[] = []
    for (const [done, count] of sequences.entries()) {
      onProgress?.({ stage: "concurrency", done, total: sequences.length })
      const one = { count, promptTokens, tokens, repetitions, signal }
      rows.push({
        sequences: count,
        tokensPerSecond: await measure(model, { ...one, isShared: false }),
        sharedTokensPerSecond: await measure(model, { ...one, isShared: true }),
      })
    }
    const { weights, threads } = model.info
    const settings = { promptTokens, tokens, repetitions }
    return {
      kind: "concurrency",
      ...describeSource(),
      machine: describeMachine(),
      model: summary(model.info),
      weights,
      threads,
      ...settings,
      rows,
    }
  } finally {
    await model.dispose()
  }
}

function open({ model, weights, threads, offline }: ConcurrencyOptions): Promise<Model> {
  return loadModel(model, {
    ...(weights === undefined ? {} : { weights }),
    ...(threads === undefined ? {} : { threads }),
    ...(offline === undefined ? {} : { offline }),
  })
}

interface Round {
  readonly count: number
  readonly isShared: boolean
  readonly promptTokens: number
  readonly tokens: number
  readonly repetitions: number
  readonly signal: AbortSignal | undefined
}

async function measure(model: Model, round: Round): Promise<number> {
  const { count, isShared, promptTokens, repetitions, signal } = round
  const prompts = Array.from({ length: count }, (_, i) => promptOf(model, promptTokens, isShared ? 0 : i))
  const pasts: ModelCache[] = []
  try {
    for (const prompt of isShared ? prompts.slice(0, 1) : prompts) pasts.push(await read(model, prompt))
    const once = async () => {
      const begin = performance.now()
      const { passes } = await model.ledger()
      const answers = prompts.map((prompt, j) => answer(model, { prompt, past: pasts[isShared ? 0 : j]! }, round))
      const decoded = (await settleAll(answers)).reduce((sum, length) => sum + length, 0)
      signal?.throwIfAborted()
      return { decoded, milliseconds: performance.now() - begin, passes: (await model.ledger()).passes - passes }
    }
    // Until passes are merged, that is, until the runner has seen that it pays.
    for (let i = 0, isWarm = false; i < 8 && !isWarm; i++) {
      const { decoded, passes } = await once()
      isWarm = count === 1 || passes * 2 <= decoded
    }
    const times: number[] = []
    let tokens = 0
    for (let i = 0; i < repetitions; i++) {
      const { decoded, milliseconds } = await once()
      tokens = decoded
      times.push(milliseconds)
    }
    return tokens / (median(times) / 1000)
  } finally {
    for (const past of pasts) await past.dispose()
  }
}

/** Fixed tokens that stand for text: what they say does not change how long a pass takes. */
function promptOf(model: Model, length: number, index: number): Int32Array {
  const random = createRandom(index).fork("prompt")
  return Int32Array.from({ length }, () => Math.floor(random.next() * model.info.config.vocabulary))
}

/** All but the last token. */
async function read(model: Model, prompt: Int32Array): Promise<ModelCache> {
  const cache = await model.openCache()
  const tokens = prompt.slice(0, -1)
  const pass = await model.forward({ input: { tokens }, cache })
  await pass.keep(Array.from(tokens, (_, row) => row))
  return cache
}

async function answer(
  model: Model,
  { prompt, past }: { readonly prompt: Int32Array; readonly past: ModelCache },
  { tokens, signal }: Round,
): Promise<number> {
  const logitBias = Object.fromEntries(model.info.config.eosTokens.map((id) => [id, -100]))
  const result = await model.generate(
    { tokens: prompt },
    { maxTokens: tokens, temperature: 0, logitBias, past, ...(signal ? { signal } : {}) },
  )
  return result.tokens.length
}
