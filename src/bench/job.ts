/** A job's requests as one batch: with all three ideas of BatchLLM, without each of them, and by another engine. */
import { mkdtemp, readFile, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { basename, join, resolve } from "node:path"
import { ForerunError } from "../base/errors.ts"
import { loadModel } from "../generate/load.ts"
import type { Model } from "../generate/model.ts"
import type { GenerateOptions } from "../generate/types.ts"
import { createLocalExecutor } from "../jobs/local-executor.ts"
import { withStore } from "../jobs/open-store.ts"
import { isBadLine, readRequests } from "../jobs/request.ts"
import { runJob } from "../jobs/run-job.ts"
import { type PlanMode, type PlanOrder, planBatch } from "../methods/batch-llm/plan.ts"
import type { WeightFormat } from "../models/formats.ts"
import { createRandom } from "../tensor/random.ts"
import { describeMachine, describeSource, type Machine, type Source } from "./machine.ts"
import { startLlamaCpp } from "./peers/llama-cpp.ts"
import type { PeerEngine, PeerJobRequest } from "./peers/peer.ts"
import { summary } from "./run-bench.ts"
import { type Interval, median, ratioInterval } from "./statistics.ts"
import type { BenchProgress, ModelSummary, PeerName } from "./types.ts"

export interface JobOptions {
  readonly model?: string
  readonly weights?: WeightFormat
  readonly threads?: number
  readonly offline?: boolean
  /** A job's input, in OpenAI's batch format; every answer is decoded to its max_tokens, past any end of text. */
  readonly file: string
  readonly peers?: readonly PeerName[]
  /** Default 2. */
  readonly repetitions?: number
  /** Sequences at a time where nothing but memory limits them, default 64; and where a cap does, default 8. */
  readonly sequences?: number
  readonly cap?: number
  /** The peer's slots, default 16. */
  readonly slots?: number
  readonly signal?: AbortSignal
  readonly onProgress?: (progress: BenchProgress) => void
  /** For tests. */
  readonly openModel?: () => Promise<Model>
}

export interface JobRow {
  /** Which of the ideas is missing, or who else answered. */
  readonly name: string
  /** Median. */
  readonly seconds: number
  /** Tokens of prompts that were computed, and generated ones. */
  readonly prefillTokens: number
  readonly decodeTokens: number
  /** Its time over that with all three ideas, taken between neighbours. */
  readonly ratio?: Interval
}

export interface JobResult extends Source {
  readonly kind: "job"
  readonly machine: Machine
  readonly model: ModelSummary
  readonly weights: WeightFormat
  readonly threads: number
  readonly job: string
  readonly requests: number
  readonly groups: number
  readonly repetitions: number
  readonly sequences: number
  readonly cap: number
  readonly slots?: number
  readonly peer?: string
  /** Prompt tokens: all of them, the least that one level of sharing must compute, and the least of all. */
  readonly logicalTokens: number
  readonly plannedTokens: number
  readonly multiLevelTokens: number
  readonly rows: readonly JobRow[]
}

const warmUpRequests = 64

interface Variant {
  readonly name: string
  readonly plan: PlanMode
  readonly order: PlanOrder
  readonly sequences: number
}

interface Measured {
  readonly milliseconds: number
  readonly prefillTokens: number
  readonly decodeTokens: number
}

/** @throws E_INPUT, E_PEER, E_ABORTED, and what loading and answering throw */
export async function measureJob(options: JobOptions): Promise<JobResult> {
  const { file, repetitions = 2, sequences = 64, cap = 8, slots = 16, signal, onProgress } = options
  const text = await readFile(file, "utf8")
  const model = await (options.openModel ?? (() => open(options)))()
  let peer: PeerEngine | undefined
  try {
    const { info } = model
    const unstopped = signal ?? new AbortController().signal
    const logitBias = Object.fromEntries(info.config.eosTokens.map((id) => [id, -100]))
    const defaults: GenerateOptions = { temperature: 0, logitBias }
    const requests = await tokensOf(model, text, defaults)
    const { groups, logicalTokens, physicalTokens, multiLevelTokens } = planBatch(requests.map(({ tokens }) => tokens))
    if (options.peers?.includes("llama.cpp"))
      peer = await startLlamaCpp({
        model: resolve(info.path),
        threads: info.threads,
        contextSize: Math.max(...requests.map(({ tokens, count }) => tokens.length + count)) + 1,
        batchSize: 512,
        sequences: slots,
        ...(signal ? { signal } : {}),
      })
    const runs = [
      ...variants(sequences, cap).map((variant) => ({
        name: variant.name,
        run: () => ours(model, { text, defaults, variant, signal: unstopped }),
      })),
      ...(peer ? [{ name: "llama.cpp's slots", run: () => peer!.runJob(asArrived(requests), "best") }] : []),
    ].map((one) => ({ ...one, measured: [] as Measured[] }))
    // Merged passes come when the runner has seen that they pay, and memory grows: before anything is timed.
    const some = text.split("\n").slice(0, warmUpRequests).join("\n")
    for (let i = 0; i < 2; i++)
      await ours(model, { text: some, defaults, variant: variants(sequences, cap)[0]!, signal: unstopped })
    for (let round = 0; round < repetitions; round++)
      for (const [i, { run, measured }] of runs.entries()) {
        onProgress?.({ stage: "job", done: round * runs.length + i, total: repetitions * runs.length })
        measured.push(await run())
        signal?.throwIfAborted()
      }
    const [all] = runs
    return {
      kind: "job",
      ...describeSource(),
      machine: describeMachine(),
      model: summary(info),
      weights: info.weights,
      threads: info.threads,
      job: basename(file).replace(/\.jsonl$/, ""),
      requests: requests.length,
      groups: groups.filter(({ prefix }) => prefix.length > 0).length,
      ...{ repetitions, sequences, cap },
      ...(peer ? { slots, peer: peer.version } : {}),
      logicalTokens,
      plannedTokens: physicalTokens,
      multiLevelTokens,
      rows: runs.map((run, i) => rowOf(run, i === 0 ? undefined : all!.measured)),
    }
  } finally {
    await peer?.stop()
    await model.dispose()
  }
}

function variants(sequences: number, cap: number): Variant[] {
  const all = { name: "all three ideas", plan: "exact", order: "ratio", sequences } as const
  return [
    all,
    { ...all, name: "without sharing", plan: "none" },
    { ...all, name: "without order by ratio", order: "arrival" },
    { ...all, name: "without memory-centric batching", sequences: cap },
  ]
}

function open({ model, weights, threads, offline }: JobOptions): Promise<Model> {
  return loadModel(model, {
    ...(weights === undefined ? {} : { weights }),
    ...(threads === undefined ? {} : { threads }),
    ...(offline === undefined ? {} : { offline }),
  })
}

async function tokensOf(
  model: Model,
  text: string,
  defaults: GenerateOptions,
): Promise<(PeerJobRequest & { readonly tokens: number[] })[]> {
  const executor = createLocalExecutor(model)
  const lines = readRequests(text)
  if (lines.length === 0) throw new ForerunError("E_INPUT", "the job holds no requests")
  return Promise.all(
    lines.map(async (line) => {
      if (isBadLine(line)) throw line.error
      const tokens = Array.from(await executor.encode(line, defaults))
      return { tokens, count: executor.predictedTokens(line, defaults) }
    }),
  )
}

interface OurRun {
  readonly text: string
  readonly defaults: GenerateOptions
  readonly variant: Variant
  readonly signal: AbortSignal
}

/** As `forerun batch` runs it: every answer is on the disk before the next. */
async function ours(model: Model, { text, defaults, variant, signal: ended }: OurRun): Promise<Measured> {
  const folder = await mkdtemp(join(tmpdir(), "forerun-job-"))
  try {
    const executor = createLocalExecutor(model, { concurrency: variant.sequences })
    const settings = { plan: variant.plan, order: variant.order, blockSize: 1, defaults }
    const { counts, work } = await withStore(
      join(folder, "store"),
      { signal: ended, leaseSeconds: 60 },
      (store, signal) => runJob(store, executor, { text, out: join(folder, "out.jsonl"), settings, signal }),
    )
    if (counts.failed > 0) throw new ForerunError("E_INPUT", `${counts.failed} requests of the job failed`)
    return {
      milliseconds: work.milliseconds,
      prefillTokens: counts.computedTokens,
      decodeTokens: counts.completionTokens,
    }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** Requests of a service do not come sorted by what they share. */
function asArrived(requests: readonly PeerJobRequest[]): PeerJobRequest[] {
  const random = createRandom(1).fork("arrival")
  return requests
    .map((request) => ({ request, at: random.next() }))
    .sort((a, b) => a.at - b.at)
    .map(({ request }) => request)
}

function rowOf({ name, measured }: { name: string; measured: readonly Measured[] }, all?: readonly Measured[]): JobRow {
  const times = (runs: readonly Measured[]) => runs.map(({ milliseconds }) => milliseconds)
  const { prefillTokens, decodeTokens } = measured[0]!
  return {
    name,
    seconds: median(times(measured)) / 1000,
    prefillTokens,
    decodeTokens,
    ...(all ? { ratio: ratioInterval(times(measured), times(all)) } : {}),
  }
}
