/** What each weight format does to a model's perplexity: one text, one window, ratio to float32. */
import { createHash } from "node:crypto"
import { basename } from "node:path"
import { ForerunError } from "../base/errors.ts"
import { loadModel } from "../generate/load.ts"
import type { Model } from "../generate/model.ts"
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
  readonly threads?: number
  readonly offline?: boolean
  readonly signal?: AbortSignal
  readonly onProgress?: (progress: BenchProgress) => void
  /** For tests. */
  readonly openModel?: (format: WeightFormat) => Promise<Model>
}

export interface PerplexityRow {
  readonly weights: WeightFormat
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
  const open = options.openModel ?? ((weights) => loadModel(options.model, loadOptions(options, weights)))
  const scores: { weights: WeightFormat; logprobs: readonly number[]; meanNll: number; perplexity: number }[] = []
  let model: ModelSummary | undefined
  let wanted = 0
  for (const [done, weights] of formats.entries()) {
    onProgress?.({ stage: weights, done, total: formats.length })
    const loaded = await open(weights)
    try {
      model = summary(loaded.info)
      wanted = options.tokens ?? Math.min(2048, loaded.info.config.context)
      const tokens = await loaded.encodePrompt(text, { raw: true })
      if (tokens.length < wanted)
        throw new ForerunError("E_INPUT", `the text has ${tokens.length} tokens, ${wanted} are wanted`)
      scores.push({ weights, ...(await loaded.score(tokens.subarray(0, wanted), signal ? { signal } : {})) })
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
    rows: scores.map(({ weights, logprobs, meanNll, perplexity }) => ({
      weights,
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
