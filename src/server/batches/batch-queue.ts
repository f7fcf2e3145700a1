/** Batches in a folder: kept, answered one after the other, gone on with by the next server of the same folder. */
import { mkdir, readFile, rm } from "node:fs/promises"
import { join } from "node:path"
import { asForerunError } from "../../base/errors.ts"
import { replaceFile } from "../../base/write-text.ts"
import type { GenerateOptions } from "../../generate/types.ts"
import type { Executor } from "../../jobs/executor.ts"
import type { RequestUrl } from "../../jobs/request.ts"
import { ApiError } from "../api-error.ts"
import { type FileStore, newId, readRecords } from "../files/file-store.ts"
import { type Batch, type BatchStatus, isOver } from "./batch-record.ts"
import { checkInput } from "./check-input.ts"
import { type BatchParts, runBatch } from "./run-batch.ts"

export interface QueueOptions {
  readonly folder: string
  readonly files: FileStore
  readonly executor: () => Executor
  readonly defaults: GenerateOptions
  readonly limits: { readonly batches: number; readonly batchRequests: number }
}

const day = 24 * 3600
const now = () => Math.floor(Date.now() / 1000)

export class BatchQueue {
  readonly #options: QueueOptions
  readonly #batches: Map<string, Batch>
  /** The batch that is being answered, and what stops it. */
  #running: { readonly id: string; readonly stop: AbortController } | undefined
  #working: Promise<void> | undefined
  #saving: Promise<void> = Promise.resolve()
  #isClosed = false

  private constructor(options: QueueOptions, batches: readonly Batch[]) {
    this.#options = options
    const inOrder = batches.toSorted((a, b) => a.times.validating - b.times.validating)
    this.#batches = new Map(inOrder.map((batch) => [batch.id, batch]))
    this.#work()
  }

  /** @throws ForerunError E_IO */
  static async open(options: QueueOptions): Promise<BatchQueue> {
    await mkdir(options.folder, { recursive: true })
    return new BatchQueue(options, await readRecords<Batch>(options.folder))
  }

  /** Newest first. */
  list(owner: string): Batch[] {
    return [...this.#batches.values()].filter((batch) => batch.owner === owner).reverse()
  }

  /** @throws ApiError 404 */
  get(owner: string, id: string): Batch {
    const batch = this.#batches.get(id)
    if (batch?.owner === owner) return batch
    throw new ApiError(404, `there is no batch ${JSON.stringify(id.slice(0, 80))}`, { code: "batch_not_found" })
  }

  /** Whether a batch that is not over reads the file. */
  reads(file: string): boolean {
    return [...this.#batches.values()].some((batch) => batch.input === file && !isOver(batch))
  }

  /** @throws ApiError 429 */
  async create(
    of: Pick<Batch, "owner" | "endpoint" | "input" | "metadata"> & { readonly endpoint: RequestUrl },
  ): Promise<Batch> {
    const { batches: most } = this.#options.limits
    if (this.list(of.owner).filter((batch) => !isOver(batch)).length >= most)
      throw new ApiError(429, `${most} batches wait or run already`, {
        code: "too_many_batches",
        headers: { "retry-after": "60" },
      })
    const times = { validating: now(), expires: now() + day }
    const batch = { id: newId("batch_"), ...of, status: "validating", times, counts: none } as const
    await this.#keep(batch)
    this.#work()
    return batch
  }

  /** What has been answered by then stays. @throws ApiError 404, 409 */
  async cancel(owner: string, id: string): Promise<Batch> {
    const batch = this.get(owner, id)
    if (isOver(batch)) throw new ApiError(409, `the batch is ${batch.status}`, { code: "batch_over" })
    const cancelling = await this.#to(id, "cancelling")
    if (this.#running?.id === id) this.#running.stop.abort()
    return cancelling
  }

  /** Stops; what runs is gone on with by whoever opens the folder next. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#running?.stop.abort()
    await this.#working
  }

  #work(): void {
    this.#working ??= this.#workThrough().finally(() => {
      this.#working = undefined
    })
  }

  async #workThrough(): Promise<void> {
    for (;;) {
      await Promise.resolve() // whoever created the last one is answered first
      const next = [...this.#batches.values()].find((batch) => !isOver(batch))
      if (!next || this.#isClosed) return
      await this.#run(next).catch((thrown: unknown) => this.#fail(next.id, thrown))
    }
  }

  async #run({ id, owner, input, endpoint, times, counts }: Batch): Promise<void> {
    const { files, limits, executor, defaults, folder } = this.#options
    const stop = new AbortController()
    this.#running = { id, stop }
    const left = Math.max(0, (times.expires ?? 0) - now())
    const expiry = setTimeout(() => stop.abort(), left * 1000)
    try {
      const text = await readFile(files.path(files.get(owner, input)), "utf8")
      const checked = checkInput(text, endpoint, limits.batchRequests)
      if (typeof checked !== "number") {
        await this.#to(id, "failed", { failures: checked })
        return
      }
      if (this.#is(id, "cancelling")) stop.abort()
      else await this.#to(id, "in_progress", { counts: { ...counts, total: checked } })
      const parts = await runBatch(executor(), {
        ...{ text, path: join(folder, id), signal: stop.signal },
        defaults: { ...defaults, prefixSalt: owner },
        onProgress: ({ requests, answered, failed }) =>
          this.#set(id, { counts: { total: requests, completed: answered - failed, failed } }),
      })
      if (this.#isClosed) return
      await this.#end(id, parts)
    } finally {
      clearTimeout(expiry)
      this.#running = undefined
    }
  }

  async #end(id: string, { answers, failures }: BatchParts): Promise<void> {
    const { files } = this.#options
    const { owner, times } = this.#batches.get(id)!
    const isCancelled = this.#is(id, "cancelling")
    if (!isCancelled) await this.#to(id, "finalizing")
    const take = async (path: string | undefined, what: string) =>
      path && (await files.take({ owner, filename: `${id}_${what}.jsonl`, purpose: "batch_output" }, path)).id
    const [output, errors] = [await take(answers, "output"), await take(failures, "error")]
    const { counts } = this.#batches.get(id)!
    const isDone = counts.completed + counts.failed === counts.total
    const status = isCancelled ? "cancelled" : isDone || now() < (times.expires ?? 0) ? "completed" : "expired"
    await this.#to(id, status, { ...(output ? { output } : {}), ...(errors ? { errors } : {}) })
    for (const rest of ["job", "job-journal"]) await rm(join(this.#options.folder, `${id}.${rest}`), { force: true })
  }

  async #fail(id: string, thrown: unknown): Promise<void> {
    if (this.#isClosed) return
    const code = thrown instanceof ApiError ? (thrown.code ?? "failed") : asForerunError(thrown).code
    const message = thrown instanceof ApiError ? thrown.message : "the batch could not be answered"
    this.#set(id, { failures: [{ code, message }] })
    await this.#to(id, "failed").catch(() => {}) // a disk that takes nothing any more: it is over all the same
  }

  #is(id: string, status: BatchStatus): boolean {
    return this.#batches.get(id)?.status === status
  }

  #set(id: string, change: Partial<Batch>): Batch {
    const batch = { ...this.#batches.get(id)!, ...change }
    this.#batches.set(id, batch)
    return batch
  }

  #to(id: string, status: BatchStatus, change: Partial<Batch> = {}): Promise<Batch> {
    const { times } = this.#batches.get(id)!
    return this.#keep(this.#set(id, { ...change, status, times: { ...times, [status]: now() } }))
  }

  /** One after the other, each as it is by then: the last one written is the last one there was. */
  async #keep(batch: Batch): Promise<Batch> {
    const { id } = batch
    this.#batches.set(id, batch)
    const path = join(this.#options.folder, `${id}.json`)
    const saved = this.#saving.then(() => replaceFile(path, JSON.stringify(this.#batches.get(id))))
    this.#saving = saved.catch(() => {})
    await saved
    return batch
  }
}

const none = { total: 0, completed: 0, failed: 0 }
