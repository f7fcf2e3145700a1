/** Runs a method on a tiny model and watches what it does: passes, caches, logits. */
import type { Completion, Context, Method } from "../../src/decoding/method.ts"
import type { OpenedPart } from "../../src/decoding/method-part.ts"
import { resolveOptions } from "../../src/decoding/options.ts"
import { createSampler } from "../../src/decoding/sampler.ts"
import { type SamplingOptions, validateSampling } from "../../src/decoding/sampling-options.ts"
import type { Step } from "../../src/decoding/step.ts"
import { estimateCost, type RowCost } from "../../src/runtime/cost-estimate.ts"
import type { HostCache } from "../../src/runtime/kv-cache.ts"
import type { ForwardPass, ForwardResult, ModelRunner } from "../../src/runtime/pass.ts"
import { createRandom, type Random } from "../../src/tensor/random.ts"
import { tinyTokenizerJson } from "../../src/text/test-sources.ts"
import { createTokenizer } from "../../src/text/tokenizer.ts"

export interface Watch {
  readonly runner: ModelRunner
  readonly caches: HostCache[]
  readonly passes: ForwardPass[]
  /** Every row of logits that came out, as the text of its bits. */
  readonly logits: Set<string>
}

export const bitsText = (row: Float32Array): string => Buffer.from(row.slice().buffer).toString("base64")

/** The same runner, with every cache (forks too) and every pass on record. `before` runs as a pass begins. */
export function watched(runner: ModelRunner, before: (number: number) => void = () => {}): Watch {
  const caches: HostCache[] = []
  const passes: ForwardPass[] = []
  const logits = new Set<string>()
  const track = (cache: HostCache): HostCache => {
    caches.push(cache)
    const fork = cache.fork.bind(cache)
    cache.fork = () => track(fork())
    return cache
  }
  const watching: ModelRunner = {
    config: runner.config,
    abilities: runner.abilities,
    ledger: runner.ledger,
    openCache: () => track(runner.openCache() as HostCache),
    async forward(pass): Promise<ForwardResult> {
      passes.push(pass)
      before(passes.length)
      const result = await runner.forward(pass)
      const { data, rows, columns } = result.logits ?? { data: new Float32Array(0), rows: 0, columns: 0 }
      for (let row = 0; row < rows; row++) logits.add(bitsText(data.subarray(row * columns, (row + 1) * columns)))
      return result
    },
  }
  return { runner: watching, caches, passes, logits }
}

export interface RunSettings {
  readonly prompt?: readonly number[]
  readonly sampling?: SamplingOptions
  readonly seed?: number
  readonly random?: Random
  readonly options?: Readonly<Record<string, unknown>>
  readonly maxTokens?: number
  readonly stopIds?: readonly number[]
  readonly logprobs?: number
  readonly prediction?: readonly number[]
  readonly part?: OpenedPart
  /** Default: what is believed of a machine that nothing is known of. */
  readonly cost?: RowCost
  readonly signal?: AbortSignal
}

export interface MethodRun {
  readonly steps: Step[]
  readonly outcome: Completion
}

export const defaultPrompt: readonly number[] = [3, 1, 4, 1, 5]

const tokenizer = createTokenizer({ kind: "tokenizer.json", json: tinyTokenizerJson() })

export function contextOf(method: Method, models: Context["models"], settings: RunSettings): Context {
  return {
    models,
    options: resolveOptions(method, settings.options),
    tokenizer,
    sampler: createSampler(validateSampling(settings.sampling ?? {}, models.target.config.vocabulary)),
    random: settings.random ?? createRandom(settings.seed ?? 1).fork("sample"),
    cost: settings.cost ?? estimateCost(undefined, new Map()),
    limits: { maxTokens: settings.maxTokens ?? 24, stopIds: new Set(settings.stopIds ?? []) },
    ...(settings.logprobs === undefined ? {} : { logprobs: settings.logprobs }),
    ...(settings.prediction === undefined ? {} : { prediction: settings.prediction }),
    ...(settings.part === undefined ? {} : { part: settings.part }),
    signal: settings.signal ?? new AbortController().signal,
  }
}

export async function runMethod(
  method: Method,
  models: Context["models"],
  settings: RunSettings = {},
): Promise<MethodRun> {
  const prompt = { tokens: Int32Array.from(settings.prompt ?? defaultPrompt) }
  const run = method.run(prompt, contextOf(method, models, settings))
  const steps: Step[] = []
  for (;;) {
    const next = await run.next()
    if (next.done) return { steps, outcome: next.value }
    steps.push(next.value)
  }
}

/** Chi-square of counts against probabilities as a standard normal deviate (Wilson and Hilferty 1931). */
export function chiSquareDeviate(counts: readonly number[], probabilities: readonly number[]): number {
  const total = counts.reduce((sum, count) => sum + count, 0)
  // Cells that expect fewer than five are pooled.
  let [statistic, cells, pooledCount, pooledExpected] = [0, 0, 0, 0]
  const add = (count: number, expected: number) => {
    statistic += (count - expected) ** 2 / expected
    cells++
  }
  for (const [i, count] of counts.entries()) {
    const expected = probabilities[i]! * total
    if (expected >= 5) add(count, expected)
    else {
      pooledCount += count
      pooledExpected += expected
    }
  }
  if (pooledExpected >= 1) add(pooledCount, pooledExpected)
  else if (pooledCount > 0 && pooledExpected < 1e-9) return Number.POSITIVE_INFINITY
  const freedom = cells - 1
  const spread = 2 / (9 * freedom)
  return (Math.cbrt(statistic / freedom) - (1 - spread)) / Math.sqrt(spread)
}
