/** Certificates of several methods from one set of plain answers, kept answer by answer, so that a run can be gone on with. */
import { setMaxListeners } from "node:events"
import { inLanes } from "../base/lanes.ts"
import type { Method } from "../decoding/method.ts"
import { resolveOptions } from "../decoding/options.ts"
import type { Model } from "../generate/model.ts"
import { predictionFor } from "../generate/prediction.ts"
import type { GenerateResult } from "../generate/types.ts"
import { loadContinuation } from "../methods/index.ts"
import { type AnswerComparison, compareAnswers } from "./compare-answers.ts"
import { guarded } from "./guarded.ts"
import { describeMachine, describeSource, type Machine, type Source } from "./machine.ts"
import { promptInput } from "./prompts.ts"
import { summary } from "./run-bench.ts"
import type { BenchProgress, BenchPrompt, ModelSummary } from "./types.ts"
import type { Certificate } from "./verify.ts"

/** What became of one prompt under one method. */
export interface VerifiedAnswer extends Omit<AnswerComparison, "tokens"> {
  readonly method: string
  readonly id: string | number
  /** Of plain decoding's answer. */
  readonly tokens: number
  /** Verifications, and tokens they committed. */
  readonly rounds: number
  readonly committed: number
  readonly passes: { readonly target: number; readonly draft: number; readonly plain: number }
}

export interface VerifyMethodsOptions {
  readonly methods: readonly string[]
  readonly prompts: readonly BenchPrompt[]
  /** Of each answer, default 128. */
  readonly maxTokens?: number
  /** Prompts at a time, default 1; their passes are merged, those of plain decoding too. */
  readonly concurrency?: number
  /** An answer that was verified before. */
  readonly known?: (key: string) => VerifiedAnswer | undefined
  readonly onAnswer?: (key: string, answer: VerifiedAnswer) => void
  readonly signal?: AbortSignal
  readonly onProgress?: (progress: BenchProgress) => void
}

export interface CertificateRecord extends Source {
  readonly kind: "certificate"
  readonly machine: Machine
  readonly model: ModelSummary
  readonly weights: string
  readonly threads: number
  readonly maxTokens: number
  /** Prompts that ran at the same time, their passes merged; one where absent. */
  readonly concurrency?: number
  readonly certificates: readonly Certificate[]
}

const defaultTokens = 128

/** @throws E_METHOD_NOT_FOUND, E_ABORTED, and what generating throws */
export const verifyMethods = (model: Model, options: VerifyMethodsOptions): Promise<CertificateRecord> =>
  guarded(options.signal, async () => {
    const { maxTokens = defaultTokens } = options
    const methods = await Promise.all(options.methods.map(loadContinuation))
    const answers = await verifyAll(model, methods, options)
    const { info } = model
    return {
      kind: "certificate",
      ...describeSource(),
      machine: describeMachine(),
      model: summary(info),
      weights: info.weights,
      threads: info.threads,
      maxTokens,
      ...(options.concurrency === undefined ? {} : { concurrency: options.concurrency }),
      certificates: methods.map((method) => certificateOf(method, answers)),
    }
  })

/** Prompt by prompt, so that an interrupted run has as much of every method. */
async function verifyAll(model: Model, methods: readonly Method[], options: VerifyMethodsOptions) {
  const { prompts, maxTokens = defaultTokens, concurrency = 1, known, onAnswer, onProgress, signal } = options
  const answers: VerifiedAnswer[][] = []
  let done = 0
  if (signal) setMaxListeners(0, signal) // one for each prompt
  await inLanes(prompts, concurrency, async (prompt, index) => {
    const asked = { maxTokens, logprobs: 20, ...(signal ? { signal } : {}) }
    const input = promptInput(prompt)
    let plain: GenerateResult | undefined
    const verify = async (method: Method) => {
      const key = `${method.name} ${prompt.category ?? ""} ${prompt.id}`
      const before = known?.(key)
      if (before) return before
      signal?.throwIfAborted()
      plain ??= await model.generate(input, asked)
      signal?.throwIfAborted()
      const expected = await expectedBy(method, prompt, plain)
      const ours = await model.generate(input, { ...asked, method: method.name, ...expected })
      signal?.throwIfAborted()
      const answer = verified(prompt, plain, ours)
      onAnswer?.(key, answer)
      return answer
    }
    const own: VerifiedAnswer[] = []
    for (const method of methods) own.push(await verify(method))
    answers[index] = own
    onProgress?.({ stage: "prompts", done: ++done, total: prompts.length })
  })
  return answers.flat()
}

/** Where a method needs an expected text and the prompt brings none: plain decoding's answer, each eighth word left out. */
async function expectedBy(method: Method, prompt: BenchPrompt, { text }: GenerateResult) {
  if (method.prediction !== "needed" || prompt.prediction !== undefined) return predictionFor(method.name, prompt)
  const words = text.split(/(?<=\s)/)
  return { prediction: words.filter((_, i) => i % 8 !== 7).join("") }
}

function verified({ id }: BenchPrompt, plain: GenerateResult, ours: GenerateResult): VerifiedAnswer {
  const { difference, maxDifference } = compareAnswers(plain, ours)
  const { rounds, meanAcceptedLength } = ours.speculation ?? { rounds: 0, meanAcceptedLength: 0 }
  return {
    method: ours.method,
    id,
    tokens: plain.tokens.length,
    ...(difference ? { difference } : {}),
    maxDifference,
    rounds,
    committed: Math.round(rounds * meanAcceptedLength),
    passes: { ...ours.passes, plain: plain.passes.target },
  }
}

function certificateOf(method: Method, all: readonly VerifiedAnswer[]): Certificate {
  const answers = all.filter((one) => one.method === method.name)
  const sum = (value: (answer: VerifiedAnswer) => number) => answers.reduce((total, one) => total + value(one), 0)
  const differences = answers.flatMap(({ id, difference }) => (difference ? [{ id, ...difference }] : []))
  const rounds = sum((one) => one.rounds)
  return {
    method: method.name,
    promise: method.promise(resolveOptions(method)),
    prompts: answers.length,
    tokens: sum((one) => one.tokens),
    identical: differences.length === 0,
    differences,
    maxLogitDifference: answers.reduce((most, one) => Math.max(most, one.maxDifference), 0),
    meanAcceptedLength: rounds > 0 ? sum((one) => one.committed) / rounds : 1,
    passes: {
      target: sum(({ passes }) => passes.target),
      draft: sum(({ passes }) => passes.draft),
      plain: sum(({ passes }) => passes.plain),
    },
  }
}
