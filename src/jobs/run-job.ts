/** A job from its input to its output: found where it was left or planned anew, answered, written. */
import { ForerunError } from "../base/errors.ts"
import type { Executor } from "./executor.ts"
import type { JobCounts, JobRecord, JobStore } from "./job-store.ts"
import { type JobSettings, jobId, prepareJob } from "./prepare-job.ts"
import { readRequests } from "./request.ts"
import { work } from "./work.ts"
import { writeResults } from "./write-results.ts"

export interface RunJobOptions {
  /** The input, whole. */
  readonly text: string
  readonly out: string
  readonly settings: JobSettings
  readonly signal: AbortSignal
  readonly onProgress?: (counts: Pick<JobCounts, "requests" | "answered" | "failed">) => void
}

export interface JobRun {
  readonly record: JobRecord
  readonly counts: JobCounts
  /** Time spent on answering, and what was generated in it, by all workers. */
  readonly work: { readonly milliseconds: number; readonly tokens: number }
}

/** Aborted, it writes what has been answered so far. @throws ForerunError; the store keeps every answer there is */
export async function runJob(store: JobStore, executor: Executor, options: RunJobOptions): Promise<JobRun> {
  const { text, out, settings, signal, onProgress } = options
  const id = jobId(text, executor.identity, settings)
  const record = (await store.find(id)) ?? (await createJob(store, executor, { id, text, settings, signal }))
  const before = await store.counts(id)
  const begin = performance.now()
  let { answered, failed } = before
  const tell = () => onProgress?.({ requests: before.requests, answered, failed })
  tell()
  const poll = store.isShared && setInterval(() => void look().catch(() => {}), 1000)
  // Others answer too: what this process did is not all there is.
  const look = async () => {
    ;({ answered, failed } = await store.counts(id))
    tell()
  }
  try {
    await work(store, executor, {
      job: id,
      signal,
      onAnswer(answer) {
        answered++
        if (answer.failed) failed++
        tell()
      },
    })
  } finally {
    if (poll) clearInterval(poll)
  }
  const milliseconds = performance.now() - begin
  const counts = await store.counts(id)
  await writeResults(out, store.results(id))
  return { record, counts, work: { milliseconds, tokens: counts.completionTokens - before.completionTokens } }
}

async function createJob(
  store: JobStore,
  executor: Executor,
  { id, text, settings, signal }: Pick<RunJobOptions, "text" | "settings" | "signal"> & { readonly id: string },
): Promise<JobRecord> {
  const lines = readRequests(text)
  if (lines.length === 0) throw new ForerunError("E_INPUT", "the input holds no requests")
  const job = await prepareJob({ id, lines, settings }, executor, signal)
  await store.create(job)
  return job
}
