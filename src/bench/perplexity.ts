/** What each weight format does to a model's perplexity: one text, one window, ratio to float32. */
import { createHash } from "node:crypto"
import { basename } from "node:path"
import { ForerunError } from "../base/errors.ts"
import { loadModel } from "../generate/load.ts"
import type { Model } from "../generate/model.ts"
import type { Score } from "../generate/types.ts"
import { type WeightFormat, weightFormats } from "../models/formats.ts"
import { describeMachine, describeSource, type Machine, type Source } from "./machine.ts"
import { summary } from "./run-bench.ts"
import { groupedInterval, type Interval } from "./statistics.ts"
import type { BenchProgress, ModelSummary } from "./types.ts"

export interface PerplexityOptions {
  readonly model?: string
  readonly text: string
  /** Of the text, for the record. */
  readonly textFile?: string
  /** Default all. float32 is always measured: the others are given relative to it. */
  readonly formats?: readonly WeightFormat[]
  /** Tokens of the one window, default 2,048, or the context where it is shorter. */
  readonly tokens?: number
  /** Changes of the model's weights: every format but the f32 reference is measured with them, and f32 too. */
  readonly adapter?: string
  readonly threads?: number
  readonly offline?: boolean
  readonly signal?: AbortSignal
  readonly onProgress?: (progress: BenchProgress) => void
  /** For tests. */
  readonly openModel?: (format: WeightFormat, adapter?: string) => Promise<Model>
}

export interface PerplexityRow {
  readonly weights: WeightFormat
  /** With the adapter's changes. */
  readonly isChanged?: true
  readonly perplexity: number
  readonly meanNll: number
  /** perplexity / that of f32 */
  readonly ratio: number
  /** Interval of the ratio from resampled stretches of 32 tokens: how far this text settles it. */
  readonly ratioInterval: Interval
}

export interface PerplexityResult extends Source {
  readonly kind: "perplexity"
  readonly machine: Machine
  readonly model: ModelSummary
  readonly text: { readonly name: string; readonly sha256: string; readonly tokens: number }
  readonly rows: readonly PerplexityRow[]
}

const stretch = 32

/** @throws E_INPUT when the text is shorter than wanted, E_ABORTED, and what loading throws */
export async function measurePerplexity(options: PerplexityOptions): Promise<PerplexityResult> {
  const { text, signal, onProgress } = options
  const others = (options.formats ?? weightFormats).filter((format) => format !== "f32")
  const formats: WeightFormat[] = ["f32", ...new Set(others)]
  const open =
    options.openModel ??
    ((weights, adapter) =>
      loadModel(options.model, { ...loadOptions(options, weights), ...(adapter ? { adapter } : {}) }))
  // What the changes do to the model is told beside the model without them.
  const readings: { weights: WeightFormat; adapter?: string }[] = formats.map((weights) => ({ weights }))
  const { adapter: changes } = options
  if (changes !== undefined)
    readings.splice(1, Number.POSITIVE_INFINITY, ...formats.map((weights) => ({ weights, adapter: changes })))
  const scores: (Score & { weights: WeightFormat; isChanged: boolean })[] = []
  let model: ModelSummary | undefined
  let wanted = 0
  for (const [done, { weights, adapter }] of readings.entries()) {
    onProgress?.({ stage: weights, done, total: readings.length })
    const loaded = await open(weights, adapter)
    try {
      model = summary(loaded.info)
      wanted = options.tokens ?? Math.min(2048, loaded.info.config.context)
      const tokens = await loaded.encodePrompt(text, { raw: true })
      if (tokens.length < wanted)
        throw new ForerunError("E_INPUT", `the text has ${tokens.length} tokens, ${wanted} are wanted`)
      const score = await loaded.score(tokens.subarray(0, wanted), signal ? { signal } : {})
      scores.push({ ...score, weights, isChanged: adapter !== undefined })
    } finally {
      await loaded.dispose()
    }
  }
  const reference = scores[0]!
  return {
    kind: "perplexity",
    ...describeSource(),
    machine: describeMachine(),
    model: model!,
    text: {
      name: basename(options.textFile ?? "text"),
      sha256: createHash("sha256").update(text).digest("hex"),
      tokens: wanted,
    },
    rows: scores.map(({ weights, isChanged, logprobs, meanNll, perplexity }) => ({
      weights,
      ...(isChanged ? { isChanged: true as const } : {}),
      perplexity,
      meanNll,
      ratio: perplexity / reference.perplexity,
      ratioInterval: interval(perplexity / reference.perplexity, reference.logprobs, logprobs),
    })),
  }
}

/** Neighbouring tokens fare alike, so whole stretches are resampled; means, for perplexity is a mean of logarithms. */
function interval(ratio: number, reference: readonly number[], logprobs: readonly number[]): Interval {
  const stretches: number[] = []
  for (let start = 0; start + stretch <= logprobs.length; start += stretch) {
    let sum = 0
    for (let i = start; i < start + stretch; i++) sum += reference[i]! - logprobs[i]!
    stretches.push(sum / stretch)
  }
  if (stretches.length === 0) return { median: ratio, low: ratio, high: ratio }
  const { low, high } = groupedInterval([stretches], { statistic: mean })
  return { median: ratio, low: Math.exp(low), high: Math.exp(high) }
}

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length

const loadOptions = ({ threads, signal, offline }: PerplexityOptions, weights: WeightFormat) => ({
  weights,
  ...(threads === undefined ? {} : { threads }),
  ...(signal ? { signal } : {}),
  ...(offline === undefined ? {} : { offline }),
})
