/** When to stop drafting: every fixed length, a trained head and rules on confidence, replayed on the same drafts. */
import { ForerunError } from "../base/errors.ts"
import type { Model } from "../generate/model.ts"
import { TrainedParts } from "../generate/trained-parts.ts"
import { loadContinuation } from "../methods/index.ts"
import type { HeadRow } from "../methods/specdec-plus-plus/labels.ts"
import type { SpecdecPart } from "../methods/specdec-plus-plus/specdec-plus-plus.ts"
import { openCheckpoint } from "../models/files/checkpoint.ts"
import type { WeightFormat } from "../models/formats.ts"
import { type Calibration, calibration, judgedTokens, type KnownAnswer, recordAnswer } from "./draft-lines.ts"
import type { DraftedAnswer } from "./draft-replay.ts"
import { describeMachine, describeSource, type Machine, type Source } from "./machine.ts"
import { defaultPrompts, promptInput } from "./prompts.ts"
import { openModel, summary } from "./run-bench.ts"
import { compareStops, type Judge, type StopComparison, stopPolicies } from "./stopping-policies.ts"
import { compareInWorld, constantWorld, twoKinds, type WorldOptions, type WorldResult } from "./stopping-worlds.ts"
import type { BenchOptions, BenchPrompt, ModelSummary } from "./types.ts"

export interface StoppingOptions
  extends Pick<
    BenchOptions,
    "model" | "weights" | "part" | "threads" | "prompts" | "offline" | "signal" | "onProgress"
  > {
  /** One whose trained weights bring a draft model and a head that says when to stop. */
  readonly method: string
  /** Of each answer, default 128. */
  readonly maxTokens?: number
  /** Longest draft, default 16. */
  readonly longest?: number
  /** Training steps of the heads for thrown outcomes, default 300. */
  readonly steps?: number
  /** For tests. */
  readonly openModel?: () => Promise<Model>
}

export interface StoppingResult extends Source, StopComparison {
  readonly kind: "stopping"
  readonly machine: Machine
  readonly model: ModelSummary
  readonly method: string
  readonly weights: WeightFormat
  readonly threads: number
  readonly maxTokens: number
  readonly longest: number
  /** Which row of the draft model the head judges a token by. */
  readonly row: HeadRow
  /** By task. */
  readonly prompts: Readonly<Record<string, number>>
  /** Share of drafted tokens that are right, of those behind right ones only: the first, the second, … */
  readonly acceptance: readonly number[]
  /** What the head says beside what happens: as it says it, and with the weight of refusals in its training taken out. */
  readonly calibration: { readonly said: Calibration; readonly unweighted: Calibration }
  /** The same drafts with outcomes that are thrown: from one chance, and from chances that the states tell. */
  readonly worlds: readonly WorldResult[]
}

/** Whether a method's drafts end where a trained head says so. */
export const stopsByHead = ({ options, part }: Awaited<ReturnType<typeof loadContinuation>>): boolean =>
  part !== undefined && Object.hasOwn(options, "threshold") && Object.hasOwn(options, "shortest")

const seed = 1

/** @throws E_OPTION for a method without such a head; E_DRAFT for a head without a draft model of its own; E_ABORTED */
export async function measureStopping(given: StoppingOptions): Promise<StoppingResult> {
  const { maxTokens = 128, longest = 16, prompts = defaultPrompts, signal, onProgress } = given
  const method = await loadContinuation(given.method)
  if (!stopsByHead(method)) throw new ForerunError("E_OPTION", `${method.name} has no head that says when to stop`)
  if (prompts.length < 2) throw new ForerunError("E_INPUT", "one half of the prompts chooses for the other: give two")
  const model = await (given.openModel ?? (() => openModel(given)))()
  const { info } = model
  const known: KnownAnswer[] = []
  const total = 2 * prompts.length
  const told = (done: number) => onProgress?.({ stage: "stopping", done, total })
  try {
    for (const [i, prompt] of prompts.entries()) {
      const text = Array.from(await model.encodePrompt(promptInput(prompt)))
      const options = { maxTokens, temperature: 0, ...(signal ? { signal } : {}) }
      const { tokens } = await model.generate(promptInput(prompt), options)
      signal?.throwIfAborted() // an aborted answer is shorter
      known.push({ prompt: text, answer: tokens })
      told(i + 1)
    }
  } finally {
    await model.dispose()
  }
  const checkpoint = openCheckpoint(info.path)
  const parts = new TrainedParts({ checkpoint, threads: info.threads, folder: given.part })
  try {
    const { head, draft, rejectWeight, row } = (await parts.of(method))!.part as SpecdecPart
    if (!draft) throw new ForerunError("E_DRAFT", `these weights of ${method.name} bring no draft model of their own`)
    const answers: DraftedAnswer[] = []
    for (const [i, answer] of known.entries()) {
      answers.push(await recordAnswer(draft, answer, longest))
      signal?.throwIfAborted()
      told(prompts.length + i + 1)
    }
    const options = { longest, threads: info.threads, ...(given.steps ? { steps: given.steps } : {}) }
    return {
      kind: "stopping",
      ...describeSource(),
      machine: describeMachine(),
      model: summary(info),
      ...{ method: method.name, weights: info.weights, threads: info.threads, maxTokens, longest, row },
      prompts: byTask(prompts),
      ...(await judgeStops(answers, { accepts: (hidden) => head.accepts(hidden), row, rejectWeight, ...options })),
    }
  } finally {
    await parts.dispose()
    checkpoint.close()
  }
}

export interface JudgedStops extends Judge, Omit<WorldOptions, "seed"> {
  /** How much more refusals weighed in the head's training. */
  readonly rejectWeight: number
}

/** From drafts that were made once to what the record says of them. */
export async function judgeStops(answers: readonly DraftedAnswer[], stops: JudgedStops) {
  const { longest, rejectWeight } = stops
  const worlds: WorldResult[] = []
  for (const world of [constantWorld, twoKinds(answers, seed)])
    worlds.push(await compareInWorld(answers, world, { ...stops, seed }))
  return {
    acceptance: acceptanceOf(answers, longest),
    ...compareStops(answers, stopPolicies(stops, longest)),
    calibration: calibrationOf(answers, stops, rejectWeight),
    worlds,
  }
}

function byTask(prompts: readonly BenchPrompt[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const { category = "none" } of prompts) counts[category] = (counts[category] ?? 0) + 1
  return counts
}

function acceptanceOf(answers: readonly DraftedAnswer[], longest: number): number[] {
  const lines = answers.flatMap(({ tokens, lineFrom }) => Array.from({ length: tokens - 1 }, (_, i) => lineFrom(i)))
  return Array.from({ length: longest }, (_, i) => {
    const reached = lines.filter(({ right, drafted }) => right >= i && drafted.length > i)
    return reached.filter(({ right }) => right > i).length / Math.max(1, reached.length)
  })
}

/** A loss in which refusals weigh w times as much is least at odds that are 1/w of the true ones. */
function calibrationOf(answers: readonly DraftedAnswer[], judge: Judge, weight: number) {
  const pairs = judgedTokens(answers, judge.row).map(({ hidden, happened }) => ({
    predicted: judge.accepts(hidden),
    happened,
  }))
  const unweighted = pairs.map(({ predicted, happened }) => ({
    predicted: (weight * predicted) / (weight * predicted + 1 - predicted),
    happened,
  }))
  return { said: calibration(pairs), unweighted: calibration(unweighted) }
}
