/** The lossless certificate: a method beside plain decoding on the same prompts, by token, by logit and by law. */
import { ForerunError } from "../base/errors.ts"
import type { Promised } from "../decoding/method.ts"
import { resolveOptions } from "../decoding/options.ts"
import type { SamplingOptions } from "../decoding/sampling-options.ts"
import type { Model } from "../generate/model.ts"
import { predictionFor } from "../generate/prediction.ts"
import type { GenerateOptions, GenerateResult } from "../generate/types.ts"
import { loadContinuation } from "../methods/index.ts"
import { compareAnswers } from "./compare-answers.ts"
import { guarded } from "./guarded.ts"
import { checkLaw, type LawResult } from "./law-check.ts"
import { promptInput } from "./prompts.ts"
import { poolSpeculation } from "./speculation.ts"
import { type CostPair, costRatio, type Interval } from "./statistics.ts"
import type { BenchProgress, BenchPrompt } from "./types.ts"

export interface VerifyOptions {
  readonly method: string
  readonly methodOptions?: Readonly<Record<string, unknown>>
  readonly prompts: readonly BenchPrompt[]
  /** Of each greedy answer, default 128. */
  readonly maxTokens?: number
  /** With a temperature above 0, sampling is checked too, under these. */
  readonly sampling?: SamplingOptions
  /** Short samples for the law, default 2,000. */
  readonly samples?: number
  readonly raw?: boolean
  readonly system?: string
  readonly signal?: AbortSignal
  readonly onProgress?: (progress: BenchProgress) => void
}

export interface Difference {
  readonly id: string | number
  /** Index of the first differing token in the answer. */
  readonly position: number
  /** Logit of plain decoding's token there less that of the next best. */
  readonly margin: number
}

export interface Certificate {
  readonly method: string
  readonly promise: Promised
  readonly prompts: number
  /** Committed by plain decoding. */
  readonly tokens: number
  /** Every greedy answer has the same tokens. */
  readonly identical: boolean
  readonly differences: readonly Difference[]
  /** Between log-probabilities of committed tokens and of the 20 likeliest at each; 0 = the same bits. */
  readonly maxLogitDifference: number
  /** Sampled answers with the same seed: how many of them have the same tokens. Not every lossless method promises it. */
  readonly seeds?: { readonly compared: number; readonly identical: number }
  readonly law?: LawResult
  readonly meanAcceptedLength: number
  readonly passes: { readonly target: number; readonly draft: number; readonly plain: number }
  readonly speedup?: Interval
}

const reference = "autoregressive"
/** Prompts that the law is checked on: the shortest, since each sample reads one. */
const lawPrompts = 8
const lawTokens = 4
/** One chance in ten thousand that a method is refused wrongly. */
const leastP = 1e-4

/** @throws E_INPUT, E_OPTION, E_METHOD_NOT_FOUND, E_ABORTED, and what generating throws */
export const verify = (model: Model, options: VerifyOptions): Promise<Certificate> =>
  guarded(options.signal, () => certify(model, options))

async function certify(model: Model, options: VerifyOptions): Promise<Certificate> {
  const { method, methodOptions, prompts, signal, sampling = {}, maxTokens = 128 } = options
  if (prompts.length === 0) throw new ForerunError("E_INPUT", "there is no prompt to verify with")
  const loaded = await loadContinuation(method)
  const promise = loaded.promise(resolveOptions(loaded, methodOptions))
  const format = { ...(options.raw ? { raw: true } : {}), ...(options.system ? { system: options.system } : {}) }
  const ownFor = async (prompt: BenchPrompt | undefined) => ({
    method,
    ...(methodOptions ? { options: methodOptions } : {}),
    ...(prompt ? await predictionFor(method, prompt) : {}),
  })
  const tell = (stage: string, total: number) => (done: number) => options.onProgress?.({ stage, done, total })
  const inputs = await Promise.all(
    prompts.map(async (prompt) => ({ tokens: await model.encodePrompt(promptInput(prompt), format) })),
  )
  /** Plain decoding, then the method, one right after the other. */
  const both = async (index: number, asked: GenerateOptions): Promise<[GenerateResult, GenerateResult]> => {
    const results: GenerateResult[] = []
    for (const way of [{ method: reference }, await ownFor(prompts[index])]) {
      results.push(await model.generate(inputs[index]!, { maxTokens, ...asked, ...way, ...(signal ? { signal } : {}) }))
      signal?.throwIfAborted()
    }
    return [results[0]!, results[1]!]
  }

  const progress = tell("greedy", prompts.length)
  const [pairs, ours, plains]: [CostPair[], GenerateResult[], GenerateResult[]] = [[], [], []]
  const differences: Difference[] = []
  let maxLogitDifference = 0
  await both(0, {}) // warms up
  for (const [index, { id }] of prompts.entries()) {
    const [plain, mine] = await both(index, {}) // timed: log-probabilities would cost both the same and hide the ratio
    pairs.push(costPair(plain, mine))
    ours.push(mine)
    plains.push(plain)
    const [plainLogits, myLogits] = await both(index, { logprobs: 20 })
    const { difference, maxDifference } = compareAnswers(plainLogits, myLogits)
    const unsteady = compareAnswers(plain, mine).difference
    const found = difference ?? (unsteady && { ...unsteady, margin: Number.NaN })
    if (found) differences.push({ id, ...found })
    maxLogitDifference = Math.max(maxLogitDifference, maxDifference)
    progress(index + 1)
  }
  const speedup = costRatio(pairs)
  const sampled =
    (sampling.temperature ?? 0) > 0
      ? await checkSampling(model, { options, inputs, both, own: await ownFor(prompts[0]), tell })
      : {}
  const sum = (of: readonly GenerateResult[], value: (result: GenerateResult) => number) =>
    of.reduce((total, result) => total + value(result), 0)
  return {
    method,
    promise,
    prompts: prompts.length,
    tokens: sum(plains, ({ tokens }) => tokens.length),
    identical: differences.length === 0,
    differences,
    maxLogitDifference,
    ...sampled,
    meanAcceptedLength: poolSpeculation(ours)?.meanAcceptedLength ?? 1,
    passes: {
      target: sum(ours, ({ passes }) => passes.target),
      draft: sum(ours, ({ passes }) => passes.draft),
      plain: sum(plains, ({ passes }) => passes.target),
    },
    ...(speedup ? { speedup } : {}),
  }
}

/** What breaks the promise of a lossless method, in words; none for one that promises less. */
export function broken({ promise, differences, maxLogitDifference, law }: Certificate): string[] {
  if (promise !== "lossless") return []
  const reasons: string[] = []
  if (differences.length > 0) reasons.push(`${differences.length} answers differ`)
  if (!(maxLogitDifference === 0)) reasons.push(`logits differ by up to ${maxLogitDifference}`)
  if (law && !(law.pValue >= leastP)) reasons.push(`samples do not follow the law (p = ${law.pValue})`)
  return reasons
}

/** Decoding after the first token, which comes out of reading the prompt. */
const costPair = (plain: GenerateResult, ours: GenerateResult): CostPair => ({
  plain: [plain.timings.decodeMs],
  ours: [ours.timings.decodeMs],
  plainTokens: Math.max(0, plain.tokens.length - 1),
  ourTokens: Math.max(0, ours.tokens.length - 1),
})

interface SamplingCheck {
  readonly options: VerifyOptions
  readonly inputs: readonly { readonly tokens: Int32Array }[]
  readonly both: (index: number, asked: GenerateOptions) => Promise<[GenerateResult, GenerateResult]>
  /** How the samples for the law are drawn: whatever is expected, it must not matter. */
  readonly own: Pick<GenerateOptions, "method" | "options" | "prediction">
  readonly tell: (stage: string, total: number) => (done: number) => void
}

/** The same seeds first, since lossless methods may draw from plain decoding's own stream; then the law. */
async function checkSampling(model: Model, check: SamplingCheck): Promise<Pick<Certificate, "seeds" | "law">> {
  const { options, inputs, both, own, tell } = check
  const { sampling = {}, samples = 2000, signal } = options
  const seedsDone = tell("seeds", inputs.length)
  let identical = 0
  for (const index of inputs.keys()) {
    const [plain, mine] = await both(index, { ...sampling, seed: (sampling.seed ?? 0) + index })
    if (plain.tokens.join() === mine.tokens.join()) identical++
    seedsDone(index + 1)
  }
  const shortest = inputs.map(({ tokens }) => tokens).sort((a, b) => a.length - b.length)
  const law = await checkLaw(model, {
    prompts: shortest.slice(0, lawPrompts),
    generate: { ...sampling, ...own },
    samples,
    tokens: lawTokens,
    signal,
    onSample: tell("law", samples),
  })
  return { seeds: { compared: inputs.length, identical }, law }
}
