/** Methods side by side: every repetition runs each prompt by every method, one right after the other. */
import { isLoop } from "../decoding/loops.ts"
import type { Model } from "../generate/model.ts"
import { predictionFor } from "../generate/prediction.ts"
import type { GenerateResult } from "../generate/types.ts"
import type { CostCurve } from "../runtime/cost-curve.ts"
import { byCategory, promptInput } from "./prompts.ts"
import { publishedFor, specBench } from "./published.ts"
import { poolSpeculation, predictedSpeedup, unmodelled } from "./speculation.ts"
import { type CostPair, costRatio, median } from "./statistics.ts"
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
  /** Rows of the target's passes beside the prompt's. */
  readonly rows: number[]
}

const reference = "autoregressive"

export async function measureMethods(model: Model, run: MethodRun): Promise<Measured[]> {
  const { methods, prompts, repetitions, maxTokens, signal } = run
  const measured = prompts.flatMap((prompt) =>
    methods.map((method): Measured => ({ method, prompt, results: [], rows: [] })),
  )
  const ask = async ({ method, prompt }: Measured) =>
    model.generate(promptInput(prompt), {
      ...(await predictionFor(method, prompt)),
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
      const { rows: before } = await model.ledger()
      const result = await ask(one)
      signal?.throwIfAborted() // an aborted answer is shorter: not a measurement
      one.results.push(result)
      one.rows.push((await model.ledger()).rows - before - result.promptTokens)
      run.onProgress?.(++done, total)
    }
  return measured
}

/** A row for each method and category, and one for each method over all. */
export function methodRows(measured: readonly Measured[], curve?: CostCurve): BenchRow[] {
  const rows: BenchRow[] = []
  for (const method of new Set(measured.map((one) => one.method))) {
    const ours = measured.filter((one) => one.method === method)
    const groups = byCategory(ours)
    const one = (category: string, items: readonly Measured[]) => {
      const found = row(method, category, items, measured)
      rows.push({ ...found, ...predicted(found, curve) })
    }
    if (groups.size > 1) for (const [category, items] of groups) one(category, items)
    one("all", ours)
  }
  return rows
}

const timesOf = (results: readonly GenerateResult[], whole: boolean) =>
  results.map(({ timings }) => timings.decodeMs + (whole ? timings.prefillMs : 0))

function row(method: string, category: string, items: readonly Measured[], all: readonly Measured[]): BenchRow {
  const first = items.map(({ results }) => results[0]!)
  const count = (value: (result: GenerateResult) => number) => first.reduce((sum, result) => sum + value(result), 0)
  const decoded = count(({ tokens }) => Math.max(0, tokens.length - 1))
  const milliseconds = items.reduce((sum, { results }) => sum + median(timesOf(results, false)), 0)
  const against = (whole: boolean) => {
    const pairs = items.flatMap(({ prompt, results }): CostPair[] => {
      const base = all.find((one) => one.method === reference && one.prompt === prompt)
      if (!base) return []
      // The first token comes out of reading the prompt.
      const tokens = ([result]: readonly GenerateResult[]) => Math.max(0, result!.tokens.length - (whole ? 0 : 1))
      return [
        {
          plain: timesOf(base.results, whole),
          ours: timesOf(results, whole),
          plainTokens: tokens(base.results),
          ourTokens: tokens(results),
        },
      ]
    })
    return costRatio(pairs)
  }
  const [speedup, wholeSpeedup] = [against(false), against(true)]
  const speculation = poolSpeculation(first)
  const published = publishedFor(method)
  return {
    method,
    category,
    prompts: items.length,
    tokens: count(({ tokens }) => tokens.length),
    tokensPerSecond: milliseconds > 0 ? (decoded / milliseconds) * 1000 : 0,
    meanAcceptedLength: speculation?.meanAcceptedLength ?? 1,
    passes: { target: count(({ passes }) => passes.target), draft: count(({ passes }) => passes.draft) },
    targetRows: items.reduce((sum, { rows }) => sum + rows[0]!, 0),
    ...(speculation ? { speculation } : {}),
    loops: first.filter(({ tokens }) => isLoop(tokens)).length / first.length,
    ...(published && category === "all" ? { published: { ...published, source: specBench.source } } : {}),
    ...(speedup ? { speedup } : {}),
    ...(wholeSpeedup ? { wholeSpeedup } : {}),
  }
}

function predicted({ speculation, speedup, passes }: BenchRow, curve?: CostCurve): Pick<BenchRow, "predicted"> {
  if (!speculation || !curve) return {}
  const value = predictedSpeedup(curve, speculation)
  return { predicted: { speedup: value, unmodelled: speedup ? unmodelled(value, speedup.median, passes.draft) : [] } }
}
