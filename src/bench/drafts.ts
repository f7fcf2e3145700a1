/** How far each drafter's drafts come true, in settings that make them comparable: counted on real runs, not timed. */
import { isLoop } from "../decoding/loops.ts"
import { resolveOptions } from "../decoding/options.ts"
import type { Model } from "../generate/model.ts"
import type { GenerateResult } from "../generate/types.ts"
import { loadContinuation } from "../methods/index.ts"
import type { WeightFormat } from "../models/formats.ts"
import { readPartRecord } from "../models/trained-part.ts"
import type { DraftSetting } from "./draft-settings.ts"
import { guarded } from "./guarded.ts"
import { describeMachine, describeSource, type Machine, type Source } from "./machine.ts"
import { floorOf, NgramTable } from "./ngram-floor.ts"
import { promptInput } from "./prompts.ts"
import { publishedFor } from "./published.ts"
import type { RecordedAnswer } from "./replay.ts"
import { openModel, summary } from "./run-bench.ts"
import { type Pooled, pooledRatio } from "./statistics.ts"
import type { BenchOptions, BenchProgress, BenchPrompt, ModelSummary } from "./types.ts"

export interface DraftsOptions
  extends Pick<BenchOptions, "model" | "weights" | "threads" | "part" | "adapter" | "offline"> {
  readonly settings: readonly DraftSetting[]
  readonly prompts: readonly BenchPrompt[]
  /** Of each answer, default 128. */
  readonly maxTokens?: number
  /** Default 0: greedy. */
  readonly temperature?: number
  /** What the drafters were trained on, for the floors: what tables of its n-grams would draft. */
  readonly training?: readonly (readonly number[])[]
  readonly signal?: AbortSignal
  readonly onProgress?: (progress: BenchProgress) => void
  /** For tests. */
  readonly openModel?: (part: string | undefined) => Promise<Model>
}

export interface DraftsRow {
  readonly method: string
  readonly setting: string
  /** Recipe and sha256 of weights other than those that come along. */
  readonly part?: string
  /** Tokens a verification, rounds of all answers together; 95 % over answers. */
  readonly meanAcceptedLength: Pooled
  /** The same without answers that go round in circles. */
  readonly withoutLoops: number
  readonly byTask: Readonly<Record<string, number>>
  /** Tokens verified, and the drafter's passes, a round. */
  readonly drafted: number
  readonly draftPasses: number
  /** Share of rounds that accepted more than i drafted tokens. */
  readonly byPosition: readonly number[]
  /** Answers that are plain decoding's, token by token; floors have none. */
  readonly identical?: number
  readonly published?: number
}

export interface DraftsResult extends Source {
  readonly kind: "drafts"
  readonly machine: Machine
  readonly model: ModelSummary
  readonly weights: WeightFormat
  readonly threads: number
  readonly maxTokens: number
  readonly temperature: number
  /** By task. */
  readonly prompts: Readonly<Record<string, number>>
  /** Share of plain decoding's answers that go round in circles. */
  readonly loops: number
  readonly rows: readonly DraftsRow[]
}

/** @throws E_METHOD_NOT_FOUND, E_OPTION before anything is loaded; E_ABORTED, and what loading and generating throw */
export async function measureDrafts(given: DraftsOptions): Promise<DraftsResult> {
  const { settings, prompts, maxTokens = 128, temperature = 0, signal } = given
  for (const { method, options } of settings) resolveOptions(await loadContinuation(method), options)
  const { openModel: opened, ...engine } = given
  const openWith = (part: string | undefined) => opened?.(part) ?? openModel({ ...engine, ...(part ? { part } : {}) })
  const total = (1 + settings.length) * prompts.length
  let done = 0
  const answersOf = async (model: Model, more: object): Promise<GenerateResult[]> => {
    const results: GenerateResult[] = []
    for (const prompt of prompts) {
      const base = { maxTokens, temperature, seed: 1, ...(signal ? { signal } : {}) }
      results.push(await model.generate(promptInput(prompt), { ...base, ...more }))
      signal?.throwIfAborted() // an aborted answer is shorter
      given.onProgress?.({ stage: "drafts", done: ++done, total })
    }
    return results
  }
  return guarded(signal, async () => {
    let [model, part]: [Model | undefined, string | undefined] = [undefined, undefined]
    const open = async (wanted = given.part): Promise<Model> => {
      if (model && part === wanted) return model
      await model?.dispose()
      model = undefined
      part = wanted
      model = await openWith(wanted)
      return model
    }
    try {
      const first = await open()
      const { info } = first
      const plain = await answersOf(first, {})
      const recorded = await Promise.all(
        prompts.map(async (prompt, i): Promise<RecordedAnswer> => {
          const text = await first.encodePrompt(promptInput(prompt))
          const source = taskOf(prompt)
          return { id: prompt.id, source, prompt: Array.from(text), answer: plain[i]!.tokens }
        }),
      )
      const rows: DraftsRow[] = []
      for (const setting of byPart(settings)) {
        const { method, options } = setting
        const results = await answersOf(await open(setting.part), { method, ...(options ? { options } : {}) })
        rows.push(rowOf(setting, { prompts, plain, results }))
      }
      return {
        kind: "drafts",
        ...describeSource(),
        machine: describeMachine(),
        model: summary(info),
        ...{ weights: info.weights, threads: info.threads, maxTokens, temperature },
        prompts: Object.fromEntries(tasks(prompts).map((task) => [task, prompts.filter(isOf(task)).length])),
        loops: plain.filter(({ tokens }) => isLoop(tokens)).length / plain.length,
        rows: [...floors(recorded, given.training ?? []), ...rows],
      }
    } finally {
      await (model as Model | undefined)?.dispose()
    }
  })
}

const taskOf = ({ category }: BenchPrompt): string => category ?? "none"
const tasks = (prompts: readonly BenchPrompt[]): string[] => [...new Set(prompts.map(taskOf))]
const isOf =
  (task: string) =>
  (prompt: BenchPrompt): boolean =>
    taskOf(prompt) === task

/** Weights are opened once: settings with the same ones stand together. */
const byPart = (settings: readonly DraftSetting[]): DraftSetting[] =>
  [...new Set(settings.map(({ part }) => part))].flatMap((part) => settings.filter((one) => one.part === part))

interface Answered {
  readonly prompts: readonly BenchPrompt[]
  readonly plain: readonly GenerateResult[]
  readonly results: readonly GenerateResult[]
}

/** Pure. */
export function rowOf({ method, setting, part }: DraftSetting, { prompts, plain, results }: Answered): DraftsRow {
  const counts = results.map(({ speculation, passes }) => ({
    rounds: speculation?.rounds ?? 0,
    tokens: (speculation?.rounds ?? 0) * (speculation?.meanAcceptedLength ?? 1),
    drafted: speculation?.drafted ?? 0,
    passes: passes.draft,
    histogram: speculation?.histogram ?? [],
  }))
  const sum = (value: (one: (typeof counts)[number]) => number, wanted = (_: number) => true) =>
    counts.reduce((total, one, i) => total + (wanted(i) ? value(one) : 0), 0)
  const lengthOf = (wanted?: (i: number) => boolean) => {
    const rounds = sum((one) => one.rounds, wanted)
    return rounds === 0 ? 1 : sum((one) => one.tokens, wanted) / rounds
  }
  const rounds = Math.max(
    1,
    sum((one) => one.rounds),
  )
  const deepest = Math.max(0, ...counts.map(({ histogram }) => histogram.length - 1))
  const more = (i: number) => sum(({ histogram }) => histogram.slice(i + 1).reduce((a, b) => a + b, 0))
  const published = publishedFor(method)
  return {
    method,
    setting,
    ...(part === undefined ? {} : { part: partName(part) }),
    meanAcceptedLength: pooledRatio(counts.map(({ tokens, rounds: below }) => [tokens, below])),
    withoutLoops: lengthOf((i) => !isLoop(plain[i]!.tokens)),
    byTask: Object.fromEntries(tasks(prompts).map((task) => [task, lengthOf((i) => isOf(task)(prompts[i]!))])),
    drafted: sum((one) => one.drafted) / rounds,
    draftPasses: sum((one) => one.passes) / rounds,
    byPosition: Array.from({ length: deepest }, (_, i) => more(i) / rounds),
    identical: results.filter(({ tokens }, i) => tokens.join() === plain[i]!.tokens.join()).length,
    ...(published ? { published: published.meanAcceptedLength } : {}),
  }
}

const partName = (folder: string): string => {
  const { method, weights } = readPartRecord(folder)
  return `${method} ${weights.sha256.slice(0, 8)}`
}

/** What lines of 3 and 4 and a tree of 15 bring that tables of the training text drafted. */
function floors(answers: readonly RecordedAnswer[], training: readonly (readonly number[])[]): DraftsRow[] {
  if (training.length === 0) return []
  const names = [...new Set(answers.map(({ source }) => source))]
  return tables.flatMap(({ method, order }) => {
    const table = new NgramTable(order, training)
    return trees.map(({ setting, ...tree }): DraftsRow => {
      const counts = answers.map((one) => ({ ...one, ...floorOf(table, one, tree) }))
      const of = (wanted: (one: RecordedAnswer) => boolean) =>
        pooledRatio(counts.filter(wanted).map(({ tokens, rounds }) => [tokens, rounds]))
      return {
        ...{ method, setting, meanAcceptedLength: of(() => true) },
        withoutLoops: of(({ answer }) => !isLoop(answer)).value,
        byTask: Object.fromEntries(names.map((name) => [name, of(({ source }) => source === name).value])),
        ...{ drafted: tree.nodes, draftPasses: 0, byPosition: [] },
      }
    })
  })
}

const tables = [
  { method: "bigrams of the training text", order: 2 },
  { method: "4-grams of the training text, back-off", order: 4 },
]
const trees = [
  { setting: "line of 3", nodes: 3, width: 1 },
  { setting: "line of 4", nodes: 4, width: 1 },
  { setting: "tree of 15", nodes: 15, width: 8 },
]
