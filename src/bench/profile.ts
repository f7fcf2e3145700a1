/**
 * Where a decode step's time goes: matrix products, and everything else.
 *
 * The profiler itself costs time, a record for each operator: a step of 1,241 operators took 15 ms without it and 32 ms
 * with it. So two shares are reported, and what the profiler costs beside them:
 * - by subtraction: only the time of matrix products is taken from the trace; what a step without profiler takes beyond
 *   that is "everything else" (other operators, onnxruntime's own work, filling inputs and the cache). The profiled
 *   products may still hold some of the profiler's cost, which makes this share too small: the upper bound takes off
 *   each of them all that the profiler costs an operator.
 * - in the trace, uncorrected: too large, since the many small operators carry most of the profiler's cost.
 */
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { basename, join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { ForerunError } from "../base/errors.ts"
import { defaultWeights } from "../generate/defaults.ts"
import { openCheckpoint } from "../models/files/checkpoint.ts"
import type { WeightFormat } from "../models/formats.ts"
import { loadRunner } from "../runtime/load-runner.ts"
import type { SessionRunner } from "../runtime/model-runner.ts"
import { describeMachine, describeSource, type Machine, type Source } from "./machine.ts"
import { isMatrixProduct, type RunProfile, readTrace } from "./profile-trace.ts"
import { median } from "./statistics.ts"
import type { BenchProgress, ModelSummary } from "./types.ts"

export interface ProfileOptions {
  /** A .gguf file or a model folder. */
  readonly model: string
  readonly weights?: WeightFormat
  readonly threads?: number
  /** Cached positions, default 128. */
  readonly context?: number
  /** Decode steps of each kind, default 64, in turns of 8. */
  readonly steps?: number
  readonly signal?: AbortSignal
  readonly onProgress?: (progress: BenchProgress) => void
}

export interface Breakdown {
  /** Median milliseconds of a step, without and with the profiler. */
  readonly stepMs: number
  readonly profiledStepMs: number
  /** What the profiler adds to a step: profiledStepMs - stepMs. */
  readonly profilerMs: number
  readonly nodes: number
  readonly profilerMsPerNode: number
  readonly matrixMs: number
  readonly otherMs: number
  /** otherMs / stepMs: by subtraction */
  readonly otherShare: number
  /** With the profiler's whole cost taken off the matrix products. */
  readonly otherShareUpperBound: number
  /** In the trace, uncorrected: the profiler's cost is in it, mostly on the side of "everything else". */
  readonly profiledOtherShare: number
  /** Medians in the profiled steps, longest first; an `If` without what runs inside. */
  readonly operators: readonly { readonly name: string; readonly calls: number; readonly milliseconds: number }[]
}

export interface ProfileResult extends Source, Breakdown {
  readonly kind: "profile"
  readonly machine: Machine
  readonly model: ModelSummary
  readonly weights: WeightFormat
  readonly threads: number
  readonly context: number
  readonly steps: number
}

const turn = 8

/** Runs in the caller's thread: nothing else is wanted of it meanwhile. */
export async function measureProfile(options: ProfileOptions): Promise<ProfileResult> {
  const { model, threads = 2, context = 128, steps = 64, signal, onProgress } = options
  if (context < 1 || steps < turn) throw new ForerunError("E_OPTION", `a profile needs a context and ${turn} steps`)
  const checkpoint = openCheckpoint(model)
  const folder = await mkdtemp(join(tmpdir(), "forerun-profile-"))
  const runners: SessionRunner[] = []
  try {
    const weights = options.weights ?? defaultWeights(checkpoint)
    const load = { weights, threads, device: "cpu" as const }
    runners.push(await loadRunner(checkpoint, load))
    runners.push(await loadRunner(checkpoint, { ...load, profile: join(folder, "profile") }))
    const decoders = await Promise.all(runners.map((runner) => createDecoder(runner, context)))
    const times: [number[], number[]] = [[], []]
    const rounds = Math.ceil(steps / turn)
    for (let round = 0; round <= rounds; round++) {
      for (const [side, step] of decoders.entries()) {
        await sleep(60) // the other session's threads stop spinning
        await step()
        for (let i = 0; i < turn; i++) {
          signal?.throwIfAborted()
          const milliseconds = await step()
          if (round > 0) times[side as 0 | 1].push(milliseconds)
        }
      }
      onProgress?.({ stage: "profile", done: round, total: rounds })
    }
    await runners.pop()!.dispose() // writes the trace
    const [file] = (await readdir(folder)).filter((name) => name.endsWith(".json"))
    if (!file) throw new ForerunError("E_RUNTIME", "onnxruntime wrote no profile")
    const runs = readTrace(await readFile(join(folder, file), "utf8")).slice(-rounds * (turn + 1))
    return {
      kind: "profile",
      ...describeSource(),
      machine: describeMachine(),
      model: {
        name: checkpoint.name ?? basename(model),
        file: basename(model),
        architecture: checkpoint.architecture,
      },
      weights,
      threads,
      context,
      steps: times[0].length,
      ...breakdown(times[0], times[1], runs),
    }
  } finally {
    for (const runner of runners) await runner.dispose()
    checkpoint.close()
    await rm(folder, { recursive: true, force: true })
  }
}

/** Decode steps at a fixed context: rows are not kept, so every step is the same work. */
async function createDecoder(runner: SessionRunner, context: number): Promise<() => Promise<number>> {
  const { vocabulary } = runner.config
  const tokens = Int32Array.from({ length: context }, (_, i) => (i * 7919) % vocabulary)
  const cache = runner.openCache()
  const past = await runner.forward({ input: { tokens }, cache })
  past.keep(Array.from({ length: context }, (_, row) => row))
  return async () => {
    const begin = performance.now()
    await runner.forward({ input: { tokens: tokens.subarray(0, 1) }, cache, want: { logits: "last" } })
    return performance.now() - begin
  }
}

/** @param plain @param profiled milliseconds of steps without and with the profiler @param runs of the profiled steps */
export function breakdown(
  plain: readonly number[],
  profiled: readonly number[],
  runs: readonly RunProfile[],
): Breakdown {
  const [stepMs, profiledStepMs] = [median(plain), median(profiled)]
  const nodes = median(runs.map((run) => run.nodes))
  const matrix = runs.map(({ operators }) => {
    const products = [...operators].filter(([name]) => isMatrixProduct(name)).map(([, sum]) => sum)
    const add = (key: "milliseconds" | "calls") => products.reduce((sum, product) => sum + product[key], 0)
    return { milliseconds: add("milliseconds"), calls: add("calls") }
  })
  const matrixMs = Math.min(stepMs, median(matrix.map(({ milliseconds }) => milliseconds)))
  const profilerMs = profiledStepMs - stepMs
  const profilerMsPerNode = Math.max(0, profilerMs) / Math.max(1, nodes)
  const charged = profilerMsPerNode * median(matrix.map(({ calls }) => calls))
  const names = new Set(runs.flatMap(({ operators }) => [...operators.keys()]))
  const operators = [...names].map((name) => ({
    name,
    calls: median(runs.map((run) => run.operators.get(name)?.calls ?? 0)),
    milliseconds: median(runs.map((run) => run.operators.get(name)?.milliseconds ?? 0)),
  }))
  const kernelMs = operators.reduce((sum, { milliseconds }) => sum + milliseconds, 0)
  return {
    stepMs,
    profiledStepMs,
    profilerMs,
    nodes,
    profilerMsPerNode,
    matrixMs,
    otherMs: stepMs - matrixMs,
    otherShare: 1 - matrixMs / stepMs,
    otherShareUpperBound: 1 - Math.max(0, matrixMs - charged) / stepMs,
    profiledOtherShare: 1 - median(matrix.map(({ milliseconds }) => milliseconds)) / kernelMs,
    operators: operators.sort((a, b) => b.milliseconds - a.milliseconds),
  }
}
