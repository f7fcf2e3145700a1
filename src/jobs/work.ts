/** A worker: leases groups, has them answered, records each answer, until nothing is left. */
import { setMaxListeners } from "node:events"
import { setTimeout as sleep } from "node:timers/promises"
import { createSemaphore } from "../base/at-once.ts"
import type { Executor } from "./executor.ts"
import type { JobStore, Lease, StoredAnswer } from "./job-store.ts"
import { storedAnswer } from "./prepare-job.ts"

export interface WorkOptions {
  /** Ends when this job is answered; default: when every job this executor may answer is. */
  readonly job?: string
  /** Does not end when nothing waits: jobs may come. */
  readonly stay?: boolean
  readonly signal: AbortSignal
  /** Told of each answer that counts: recorded by this worker, and the first for its request. */
  readonly onAnswer?: (answer: StoredAnswer) => void
  /** Milliseconds between two looks when there is nothing to lease; default 200. */
  readonly pollMs?: number
}

/** @throws ForerunError when the executor can answer no more: what was answered stays, the job can be resumed */
export async function work(store: JobStore, executor: Executor, options: WorkOptions): Promise<void> {
  const stop = new AbortController() // the first lane that fails takes the others along
  const signal = AbortSignal.any([options.signal, stop.signal])
  setMaxListeners(0, signal) // one for each lane
  // Lanes look for work one after the other: many that find none would keep a shared store busy with their questions.
  const looking = createSemaphore(1)
  const lanes = Array.from({ length: executor.lanes }, () =>
    runLane({ store, executor, looking }, { ...options, signal }).catch((thrown: unknown) => {
      stop.abort()
      throw thrown
    }),
  )
  const ended = await Promise.allSettled(lanes)
  for (const lane of ended) if (lane.status === "rejected") throw lane.reason
}

interface Place {
  readonly store: JobStore
  readonly executor: Executor
  readonly looking: ReturnType<typeof createSemaphore>
}

async function runLane(place: Place, options: WorkOptions): Promise<void> {
  while (!options.signal.aborted) {
    const found = await look(place, options)
    if (found === "end") return
    if (found !== "nothing") await answerGroup(place.store, place.executor, found, options)
  }
}

/** A lease; "nothing" after a while without one; "end" when none will come. */
async function look({ store, executor, looking }: Place, options: WorkOptions): Promise<Lease | "nothing" | "end"> {
  const { job, stay = false, signal, pollMs = 200 } = options
  await looking.take()
  try {
    if (signal.aborted) return "end"
    const lease = await store.lease(executor.identity)
    if (lease) return lease
    if (!stay && (await store.unanswered(job === undefined ? { identity: executor.identity } : { job })) === 0)
      return "end"
    await sleep(pollMs, undefined, { signal }).catch(() => {})
    return "nothing"
  } finally {
    looking.give()
  }
}

async function answerGroup(
  store: JobStore,
  executor: Executor,
  lease: Lease,
  { signal, onAnswer }: WorkOptions,
): Promise<void> {
  let isDone = false
  try {
    for await (const event of executor.answer(lease, signal)) {
      if (event.type === "prefix-read") await store.recordPrefix(lease, event.tokens)
      else {
        const answer = storedAnswer(lease.job, event.request, event.answer)
        if (await store.record(lease, answer)) onAnswer?.(answer)
      }
    }
    isDone = !signal.aborted
  } finally {
    await store.release(lease, isDone)
  }
}
