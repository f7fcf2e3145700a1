/** What early exits are worth on a model: how often they are right, every fixed exit and length beside DEL, and what that costs. */
import type { Model } from "../../generate/model.ts"
import { exitsOf } from "../../methods/del/del.ts"
import { loadContinuation } from "../../methods/index.ts"
import { openCheckpoint } from "../../models/files/checkpoint.ts"
import type { WeightFormat } from "../../models/formats.ts"
import { createTokenizer } from "../../text/tokenizer.ts"
import { describeMachine, describeSource, type Machine, type Source } from "../machine.ts"
import { defaultPrompts, promptInput } from "../prompts.ts"
import { openModel, summary } from "../run-bench.ts"
import type { BenchProgress, BenchPrompt, ModelSummary } from "../types.ts"
import { type Adaptation, adaptationPublished, measureAdaptation } from "./adaptation.ts"
import { believedCosts, type ExitCosts, measureExitCosts } from "./exit-costs.ts"
import { replayExits } from "./exit-replay.ts"
import { agreementOf, type RecordedExits, recordExits } from "./recorded-exits.ts"
import { best, type CountedRow, countRounds } from "./sweep.ts"
import { type TimedRow, timeExits } from "./timed-exits.ts"

export interface ExitsOptions {
  readonly model?: string
  readonly weights?: WeightFormat
  readonly adapter?: string
  readonly threads?: number
  readonly prompts?: readonly BenchPrompt[]
  /** New tokens a prompt, default 64. */
  readonly maxTokens?: number
  /** Of what is timed, default 3; medians are reported. */
  readonly repetitions?: number
  readonly offline?: boolean
  readonly signal?: AbortSignal
  readonly onProgress?: (progress: BenchProgress) => void
  /** For tests. */
  readonly openModel?: () => Promise<Model>
}

export interface ExitsResult extends Source {
  readonly kind: "exits"
  readonly machine: Machine
  readonly model: ModelSummary
  readonly weights: WeightFormat
  readonly threads: number
  readonly prompts: number
  readonly maxTokens: number
  readonly repetitions: number
  /** Share of an answer's places where the exit says what the whole model says. */
  readonly agreement: readonly { readonly exit: number; readonly share: number }[]
  readonly costs: ExitCosts
  /** By task and "all": fixed exits and lengths, then DEL. Counted over recorded answers. */
  readonly counted: readonly CountedRow[]
  /** The best of them and DEL as it is, by turns with plain decoding. */
  readonly timed: readonly TimedRow[]
  readonly adaptation: Adaptation
  /** The same code over a text whose exits are right by chance, as in the published simulation. */
  readonly published: Adaptation
}

const lengths = [1, 2, 3, 4, 6, 8]
const defaults = { maxTokens: 64, repetitions: 3 }

/** @throws E_ABORTED, and what loading and generating throw */
export async function measureExits(given: ExitsOptions): Promise<ExitsResult> {
  const { signal, onProgress, prompts = defaultPrompts } = given
  const { maxTokens, repetitions } = { ...defaults, ...given }
  const open = given.openModel ?? (() => openModel(given))
  const tell = (stage: string) => (done: number, total: number) => onProgress?.({ stage, done, total })
  // Leaving early takes a graph that is slower for whole passes: plain decoding keeps a model of its own.
  const models: Model[] = []
  try {
    for (let i = 0; i < 2; i++) models.push(await open())
    const [plain, model] = models as [Model, Model]
    const { config, path, weights, threads } = model.info
    const checkpoint = openCheckpoint(path)
    const tokenizer = createTokenizer(checkpoint.tokenizer!)
    checkpoint.close()
    const exits = exitsOf(config.layers, 0)
    const listener = { config, forward: model.forward.bind(model) }
    const records: RecordedExits[] = []
    for (const [i, prompt] of prompts.entries()) {
      signal?.throwIfAborted()
      const tokens = await plain.encodePrompt(promptInput(prompt))
      const { tokens: answer } = await plain.generate({ tokens: [...tokens] }, { maxTokens, temperature: 0 })
      if (answer.length > 1)
        records.push(
          await recordExits(listener, { source: prompt.category ?? "none", prompt: [...tokens], answer }, exits),
        )
      tell("answers")(i + 1, prompts.length)
    }
    const costs = await measureExitCosts(model, plain, {
      repetitions: Math.max(9, 3 * repetitions),
      signal,
      onProgress: tell("costs"),
    })
    const settings = { config, tokenizer }
    const believed = believedCosts(costs, config.layers)
    const [fixed, del] = [await loadContinuation("self-speculative"), await loadContinuation("del")]
    const candidates = [
      ...exits.flatMap((exitLayer) =>
        lengths.map((draftLength) => ({ method: fixed, options: { exitLayer, draftLength } })),
      ),
      ...["all", "layers"].map((one) => ({ method: del, options: { length: "planned", costs: one } })),
    ]
    const counted: CountedRow[] = []
    for (const [i, { method, options }] of candidates.entries()) {
      signal?.throwIfAborted()
      const rounds = []
      for (const record of records) {
        const list = await replayExits(method, record, { ...settings, ...believed, options })
        rounds.push({ source: record.source, rounds: list })
      }
      counted.push(
        ...countRounds(rounds, { costs, layers: config.layers }).map((row) => ({
          method: method.name,
          options,
          ...row,
        })),
      )
      tell("replays")(i + 1, candidates.length)
    }
    const statics = counted.filter(({ method, task }) => method === fixed.name && task === "all")
    const timed = await timeExits(
      { plain, model },
      {
        prompts,
        maxTokens,
        repetitions,
        settings: [
          ...unique(
            [best(statics, "speed"), best(statics, "layerSpeed")].map(({ options }) => ({
              method: fixed.name,
              options,
            })),
          ),
          { method: del.name, options: {} },
          { method: del.name, options: { costs: "layers" } },
        ],
        signal,
        onProgress: tell("timed"),
      },
    )
    const adaptation = await measureAdaptation({
      ...{ plain, model, del, exits, settings, maxTokens },
      signal: signal ? { signal } : {},
    })
    return {
      kind: "exits",
      ...describeSource(),
      machine: describeMachine(),
      model: summary(model.info),
      ...{ weights, threads, prompts: prompts.length, maxTokens, repetitions },
      agreement: [...agreementOf(records)].map(([exit, share]) => ({ exit, share })),
      ...{ costs, counted, timed, adaptation, published: await adaptationPublished({ del, settings }) },
    }
  } finally {
    for (const model of models) await model.dispose()
  }
}

const unique = <T>(list: readonly T[]): T[] => [...new Map(list.map((one) => [JSON.stringify(one), one])).values()]
