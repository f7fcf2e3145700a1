/** Methods side by side: every repetition runs each prompt by every method, one right after the other. */
import type { Model } from "../generate/model.ts"
import type { GenerateResult } from "../generate/types.ts"
import { byCategory, promptInput } from "./prompts.ts"
import { groupedInterval, median } from "./statistics.ts"
import type { BenchPrompt, BenchRow } from "./types.ts"

export interface MethodRun {
  readonly methods: readonly string[]
  readonly methodOptions?: Readonly<Record<string, Readonly<Record<string, unknown>>>> | undefined
  readonly prompts: readonly BenchPrompt[]
  readonly repetitions: number
  readonly maxTokens: number
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: (done: number, total: number) => void
}

/** What one method did with one prompt, a value a repetition. */
export interface Measured {
  readonly method: string
  readonly prompt: BenchPrompt
  readonly results: GenerateResult[]
}

const reference = "autoregressive"

export async function measureMethods(model: Model, run: MethodRun): Promise<Measured[]> {
  const { methods, prompts, repetitions, maxTokens, signal } = run
  const measured = prompts.flatMap((prompt) => methods.map((method): Measured => ({ method, prompt, results: [] })))
  const ask = ({ method, prompt }: Measured) =>
    model.generate(promptInput(prompt), {
      method,
      maxTokens,
      temperature: 0,
      ...(run.methodOptions?.[method] ? { options: run.methodOptions[method] } : {}),
      ...(signal ? { signal } : {}),
    })
  const total = repetitions * measured.length
  let done = 0
  for (const one of measured.slice(0, methods.length)) {
    await ask(one) // warms each method up
    signal?.throwIfAborted()
  }
  for (let repetition = 0; repetition < repetitions; repetition++)
    for (const one of measured) {
      const result = await ask(one)
      signal?.throwIfAborted() // an aborted answer is shorter: not a measurement
      one.results.push(result)
      run.onProgress?.(++done, total)
    }
  return measured
}

/** A row for each method and category, and one for each method over all. */
export function methodRows(measured: readonly Measured[]): BenchRow[] {
  const rows: BenchRow[] = []
  for (const method of new Set(measured.map((one) => one.method))) {
    const ours = measured.filter((one) => one.method === method)
    const groups = byCategory(ours)
    if (groups.size > 1) for (const [category, items] of groups) rows.push(row(method, category, items, measured))
    rows.push(row(method, "all", ours, measured))
  }
  return rows
}

const decodeMs = ({ tokens, timings }: GenerateResult) => timings.decodeMs / Math.max(1, tokens.length - 1)
const wholeMs = ({ tokens, timings }: GenerateResult) =>
  (timings.prefillMs + timings.decodeMs) / Math.max(1, tokens.length)

function row(method: string, category: string, items: readonly Measured[], all: readonly Measured[]): BenchRow {
  const first = items.map(({ results }) => results[0]!)
  const count = (value: (result: GenerateResult) => number) => first.reduce((sum, result) => sum + value(result), 0)
  const decoded = count(({ tokens }) => tokens.length - 1)
  const milliseconds = items.reduce((sum, { results }) => sum + median(results.map((one) => one.timings.decodeMs)), 0)
  const against = (cost: (result: GenerateResult) => number) => {
    const ratios = items.map(({ prompt, results }) => {
      const base = all.find((one) => one.method === reference && one.prompt === prompt)
      return base ? results.map((result, i) => cost(base.results[i]!) / cost(result)) : []
    })
    // An answer of a single token has no decoding to compare.
    const usable = ratios.map((values) => values.filter(Number.isFinite)).filter((values) => values.length > 0)
    return usable.length > 0 ? groupedInterval(usable) : undefined
  }
  const [speedup, wholeSpeedup] = [against(decodeMs), against(wholeMs)]
  return {
    method,
    category,
    prompts: items.length,
    tokens: count(({ tokens }) => tokens.length),
    tokensPerSecond: milliseconds > 0 ? (decoded / milliseconds) * 1000 : 0,
    meanAcceptedLength: count(accepted) / first.length,
    passes: { target: count(({ passes }) => passes.target), draft: count(({ passes }) => passes.draft) },
    ...(speedup ? { speedup } : {}),
    ...(wholeSpeedup ? { wholeSpeedup } : {}),
  }
}

/** Methods that speculate report it; the others commit one token a pass. */
const accepted = (result: GenerateResult & { speculation?: { meanAcceptedLength: number } }) =>
  result.speculation?.meanAcceptedLength ?? 1
