/** forerun batch: a file of requests in OpenAI's batch format, planned as a whole, resumable; alone or with workers. */
import { resolveOptions } from "../../decoding/options.ts"
import type { Executor } from "../../jobs/executor.ts"
import { createLocalExecutor } from "../../jobs/local-executor.ts"
import { isPostgres, withStore } from "../../jobs/open-store.ts"
import type { JobSettings } from "../../jobs/prepare-job.ts"
import { runJob } from "../../jobs/run-job.ts"
import { work } from "../../jobs/work.ts"
import type { PlanMode, PlanOrder } from "../../methods/batch-llm/plan.ts"
import { loadMethod } from "../../methods/index.ts"
import { previewJob } from "../batch-preview.ts"
import { createBatchProgress } from "../batch-progress.ts"
import { batchReport, reportText } from "../batch-report.ts"
import type { GenerateFlags } from "../flags.ts"
import { generateOptions } from "../generate-options.ts"
import { type Output, usageError } from "../output.ts"
import { readText } from "../read-text.ts"
import { withModel } from "../with-model.ts"
import { withServer } from "../with-server.ts"

interface Flags extends GenerateFlags {
  readonly in?: string
  readonly out?: string
  readonly store?: string
  readonly leaseSeconds?: number
  readonly server?: string
  readonly serverModel?: string
  readonly concurrency?: number
  readonly stay?: boolean
  readonly dryRun?: boolean
  readonly kvBudget?: number
}

export async function batch([action]: readonly (string | undefined)[], flags: Flags, output: Output): Promise<number> {
  if (action === "worker") return runAsWorker(flags, output)
  if (action !== undefined) throw usageError(`there is no "batch ${action}"`, "forerun batch, or forerun batch worker")
  const { in: input, out } = flags
  if (input === undefined || (out === undefined && !flags.dryRun)) throw usageError("batch needs --in and --out")
  const settings = await readSettings(flags)
  const text = await readText(input)
  if (text.trim() === "") throw usageError(`${input} holds no requests`)
  if (flags.dryRun || out === undefined) {
    const { kvBudget = 32768 } = flags
    return withExecutor(flags, output, (executor, signal) =>
      previewJob(executor, { text, settings, kvBudget, signal }, output),
    )
  }
  const target = flags.store ?? `${out}.job`
  return withExecutor(flags, output, (executor, interrupt) =>
    withStore(target, storeOptions(flags, interrupt), async (store, signal) => {
      const progress = createBatchProgress()
      const run = await runJob(store, executor, {
        ...{ text, out, settings, signal },
        onProgress: progress.update,
      }).finally(progress.stop)
      const report = batchReport(run.record, run.counts, run.work)
      if (output.json) output.object(report)
      else output.text(`${reportText(report)}\n`)
      return report.failed > 0 ? 1 : 0
    }),
  )
}

/** Answers groups of any job for its model until no request waits, or until Ctrl-C. */
async function runAsWorker(flags: Flags, output: Output): Promise<number> {
  const { store: target } = flags
  if (target === undefined || !isPostgres(target)) throw usageError("a worker needs --store postgres://…")
  return withExecutor(flags, output, (executor, interrupt) =>
    withStore(target, storeOptions(flags, interrupt), async (store, signal) => {
      let [answered, failed] = [0, 0]
      await work(store, executor, {
        signal,
        stay: flags.stay ?? false,
        onAnswer(answer) {
          answered++
          if (answer.failed) failed++
        },
      })
      if (output.json) output.object({ answered, failed })
      else output.text(`${answered} answered, ${failed} failed\n`)
      return 0
    }),
  )
}

const storeOptions = ({ leaseSeconds = 60 }: Flags, signal: AbortSignal) => ({ leaseSeconds, signal })

function withExecutor(
  flags: Flags,
  output: Output,
  use: (executor: Executor, signal: AbortSignal) => Promise<number>,
): Promise<number> {
  if (flags.server !== undefined) return withServer(flags.server, flags, use)
  const { serverModel, concurrency } = flags
  if (serverModel !== undefined) throw usageError("--server-model goes with --server")
  const options = concurrency === undefined ? {} : { concurrency }
  return withModel(flags, output, (model, signal) => use(createLocalExecutor(model, options), signal))
}

/** Options of the verb's own method say how to plan; another method answers each request. */
async function readSettings({ method = "batch-llm", option, ...flags }: Flags): Promise<JobSettings> {
  const chosen = await loadMethod(method)
  const isOwn = chosen.verb === "batch"
  const planning = isOwn ? chosen : await loadMethod("batch-llm")
  const { plan, order, blockSize } = resolveOptions(planning, isOwn ? option : {})
  const single = isOwn ? flags : { ...flags, method, ...(option ? { option } : {}) }
  const defaults = await generateOptions(single)
  return { plan: plan as PlanMode, order: order as PlanOrder, blockSize: Number(blockSize), defaults }
}
