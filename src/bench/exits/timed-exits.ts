/** Methods that leave early beside plain decoding, by turns; and how much of a round shadow tokens take. */
import type { Model } from "../../generate/model.ts"
import type { GenerateResult } from "../../generate/types.ts"
import { promptInput } from "../prompts.ts"
import { type CostPair, costRatio, type Interval } from "../statistics.ts"
import type { BenchPrompt } from "../types.ts"

export interface TimedRow {
  readonly method: string
  readonly options: Readonly<Record<string, unknown>>
  /** Decoding beside plain decoding; undefined where nothing was decoded. */
  readonly speed?: Interval
  /** Tokens a round, and drafted ones. */
  readonly tokens: number
  readonly drafted: number
  /** Rounds that drafted nothing, because it would not have paid. */
  readonly plainShare: number
  /** Of decoding, the time of passes that ran the head on other passes' states: shadow tokens. */
  readonly shadowShare: number
}

interface Timing {
  readonly prompts: readonly BenchPrompt[]
  readonly maxTokens: number
  readonly repetitions: number
  readonly settings: readonly { readonly method: string; readonly options: Readonly<Record<string, unknown>> }[]
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: (done: number, total: number) => void
}

/** @param models plain decoding has a model of its own */
export async function timeExits(
  models: { readonly plain: Model; readonly model: Model },
  { prompts, maxTokens, repetitions, settings, signal, onProgress }: Timing,
): Promise<TimedRow[]> {
  const results = settings.map(() => prompts.map((): { plain: GenerateResult; ours: GenerateResult }[] => []))
  const total = repetitions * prompts.length
  for (let turn = 0; turn <= repetitions; turn++)
    for (const [at, prompt] of (turn === 0 ? prompts.slice(0, 1) : prompts).entries()) {
      const ask = (model: Model, more: object) =>
        model.generate(promptInput(prompt), { maxTokens, temperature: 0, ...more, ...(signal ? { signal } : {}) })
      for (const [i, setting] of settings.entries()) {
        const plain = await ask(models.plain, {})
        const ours = await ask(models.model, { ...setting, timeline: true })
        signal?.throwIfAborted()
        if (turn > 0) results[i]![at]!.push({ plain, ours }) // the first turn warms up
      }
      if (turn > 0) onProgress?.((turn - 1) * prompts.length + at + 1, total)
    }
  return settings.map((setting, i) => ({ ...setting, ...summarise(results[i]!) }))
}

function summarise(byPrompt: readonly (readonly { plain: GenerateResult; ours: GenerateResult }[])[]) {
  const decoded = ({ tokens }: GenerateResult) => Math.max(0, tokens.length - 1)
  const pairs = byPrompt.map(
    (each): CostPair => ({
      plain: each.map(({ plain }) => plain.timings.decodeMs),
      ours: each.map(({ ours }) => ours.timings.decodeMs),
      plainTokens: decoded(each[0]!.plain),
      ourTokens: decoded(each[0]!.ours),
    }),
  )
  const ours = byPrompt.flatMap((each) => each.map((pair) => pair.ours))
  const sum = (value: (one: GenerateResult) => number) => ours.reduce((all, one) => all + value(one), 0)
  const rounds = sum(({ speculation }) => speculation?.rounds ?? 0)
  const shadows = sum(({ timeline = [] }) =>
    timeline.reduce((all, { layers, begin, end }) => all + (layers === 0 ? end - begin : 0), 0),
  )
  const speed = costRatio(pairs)
  return {
    ...(speed ? { speed } : {}),
    tokens: sum(decoded) / rounds,
    drafted: sum(({ speculation }) => speculation?.drafted ?? 0) / rounds,
    plainShare:
      sum(({ speculation }) => {
        const plain = speculation?.decisions?.filter(({ why }) => why === "not-worth-its-rows") ?? []
        return plain.reduce((all, one) => all + one.rounds, 0)
      }) / rounds,
    shadowShare: shadows / sum(({ timings }) => timings.decodeMs),
  }
}
