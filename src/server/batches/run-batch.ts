/** One batch from its requests to its files: planned and answered as a job, gone on with after the engine was lost. */
import { once } from "node:events"
import { createReadStream, createWriteStream } from "node:fs"
import { rm, stat } from "node:fs/promises"
import { createInterface } from "node:readline"
import { finished } from "node:stream/promises"
import { setTimeout as sleep } from "node:timers/promises"
import { asForerunError } from "../../base/errors.ts"
import { resolveOptions } from "../../decoding/options.ts"
import type { GenerateOptions } from "../../generate/types.ts"
import type { Executor } from "../../jobs/executor.ts"
import type { JobCounts } from "../../jobs/job-store.ts"
import { withStore } from "../../jobs/open-store.ts"
import type { JobSettings } from "../../jobs/prepare-job.ts"
import { runJob } from "../../jobs/run-job.ts"
import type { PlanMode, PlanOrder } from "../../methods/batch-llm/plan.ts"
import { loadMethod } from "../../methods/index.ts"

export interface BatchWork {
  readonly text: string
  /** For what requests leave open. */
  readonly defaults: GenerateOptions
  /** Paths of its own begin so. */
  readonly path: string
  readonly signal: AbortSignal
  onProgress(counts: Pick<JobCounts, "requests" | "answered" | "failed">): void
}

export interface BatchParts {
  /** Files of answers, and of requests that failed, where there are any. */
  readonly answers?: string
  readonly failures?: string
}

/** In a row, without an answer between them: then a request of this very batch is to blame. */
const mostLosses = 5

/** Aborted, it gives what there is. @throws ForerunError when no request can be answered any more */
export async function runBatch(executor: Executor, work: BatchWork): Promise<BatchParts> {
  const { text, path, signal, onProgress } = work
  const settings = await jobSettings(work.defaults)
  const out = `${path}.out`
  let [answered, losses] = [-1, 0]
  for (;;) {
    let now = 0
    try {
      await withStore(`${path}.job`, { signal, leaseSeconds: 60 }, (store, held) =>
        runJob(store, executor, {
          ...{ text, out, settings, signal: held },
          onProgress(counts) {
            now = counts.answered
            onProgress(counts)
          },
        }),
      )
      return await takeApart(out, path)
    } catch (thrown) {
      if (signal.aborted) return takeApart(out, path)
      losses = now > answered ? 1 : losses + 1
      answered = now
      if (asForerunError(thrown).code !== "E_ENGINE_LOST" || losses >= mostLosses) throw thrown
      await sleep(500, undefined, { signal }).catch(() => {})
    }
  }
}

/** As `forerun batch` plans where nothing is said. */
async function jobSettings(defaults: GenerateOptions): Promise<JobSettings> {
  const { plan, order, blockSize } = resolveOptions(await loadMethod("batch-llm"), undefined)
  return { plan: plan as PlanMode, order: order as PlanOrder, blockSize: Number(blockSize), defaults }
}

/** OpenAI keeps answers and failures in files of their own. */
async function takeApart(from: string, path: string): Promise<BatchParts> {
  if (!(await stat(from).catch(() => undefined))) return {}
  const [answers, failures] = [`${path}.answers`, `${path}.failures`].map((name) => ({
    ...{ name, stream: createWriteStream(name), lines: 0 },
  })) as [Part, Part]
  for await (const line of createInterface({ input: createReadStream(from), crlfDelay: Number.POSITIVE_INFINITY })) {
    const part = JSON.parse(line).response?.status_code === 200 ? answers : failures
    part.lines++
    if (!part.stream.write(`${line}\n`)) await once(part.stream, "drain")
  }
  for (const { name, stream, lines } of [answers, failures]) {
    stream.end()
    await finished(stream)
    if (lines === 0) await rm(name)
  }
  await rm(from)
  return {
    ...(answers.lines > 0 ? { answers: answers.name } : {}),
    ...(failures.lines > 0 ? { failures: failures.name } : {}),
  }
}

interface Part {
  readonly name: string
  readonly stream: ReturnType<typeof createWriteStream>
  lines: number
}
