/** The caller's end of the engine's thread. */
import { createRequire } from "node:module"
import { pathToFileURL } from "node:url"
import { Worker } from "node:worker_threads"
import { ForerunError } from "../base/errors.ts"
import type { StreamEvent } from "../decoding/step.ts"
import { type Call, type FromEngine, type ToEngine, unpackError } from "./protocol.ts"
import type { LoadProgress } from "./types.ts"

export interface CallOptions {
  readonly signal?: AbortSignal | undefined
  readonly onEvent?: (event: StreamEvent) => void
  readonly onProgress?: (progress: LoadProgress) => void
}

interface Pending {
  readonly options: CallOptions
  readonly resolve: (result: never) => void
  readonly reject: (error: Error) => void
}

export class EngineClient {
  readonly #worker: Worker
  readonly #pending = new Map<number, Pending>()
  #nextId = 1
  #gone: ForerunError | undefined

  constructor() {
    this.#worker = startWorker()
    this.#worker.on("message", (message: FromEngine) => this.#receive(message))
    this.#worker.on("error", (error) =>
      this.#fail(new ForerunError("E_RUNTIME", `the engine failed: ${error.message}`, { cause: error })),
    )
    this.#worker.on("exit", () => this.#fail(new ForerunError("E_DISPOSED", "the model was disposed")))
    this.#worker.unref() // referenced only while a call is under way
  }

  call<T>(call: Call, options: CallOptions = {}): Promise<T> {
    if (this.#gone) return Promise.reject(this.#gone)
    const id = this.#nextId++
    const aborted = options.signal?.aborted ?? false
    const abort = () => this.#worker.postMessage({ id, abort: true } satisfies ToEngine)
    const done = new Promise<T>((resolve, reject) => {
      this.#pending.set(id, { options, resolve: resolve as (result: never) => void, reject })
      this.#worker.ref()
      this.#worker.postMessage({ id, call, aborted } satisfies ToEngine)
    })
    options.signal?.addEventListener("abort", abort)
    return done.finally(() => {
      options.signal?.removeEventListener("abort", abort)
      this.#pending.delete(id)
      if (this.#pending.size === 0) this.#worker.unref()
    })
  }

  /** A call whose events are wanted; leaving the loop early stops the engine within one pass. */
  async *stream<Event extends StreamEvent, Result>(
    call: Call,
    { signal }: Pick<CallOptions, "signal">,
  ): AsyncGenerator<Event, Result> {
    const stop = new AbortController()
    const events: StreamEvent[] = []
    let wake = () => {}
    const result = this.call<Result>(call, {
      signal: signal ? AbortSignal.any([signal, stop.signal]) : stop.signal,
      onEvent(event) {
        events.push(event)
        wake()
      },
    })
    let ended = false
    result
      .catch(() => {})
      .finally(() => {
        ended = true
        wake()
      })
    try {
      for (;;) {
        const event = events.shift()
        if (event) yield event as Event
        else if (ended) return await result
        else
          await new Promise<void>((resolve) => {
            wake = resolve
          })
      }
    } finally {
      stop.abort()
    }
  }

  #receive(message: FromEngine): void {
    const pending = this.#pending.get(message.id)
    if (!pending) return
    if ("event" in message) pending.options.onEvent?.(message.event)
    else if ("progress" in message) pending.options.onProgress?.(message.progress)
    else if ("error" in message) pending.reject(unpackError(message.error))
    else pending.resolve(message.result as never)
  }

  #fail(error: ForerunError): void {
    this.#gone ??= error
    for (const { reject } of this.#pending.values()) reject(error)
  }
}

/** The published package is JavaScript; from sources (tests, tsx) the thread registers a TypeScript loader first. */
function startWorker(): Worker {
  if (!import.meta.url.endsWith(".ts")) return new Worker(new URL("./engine-worker.js", import.meta.url))
  const entry = new URL("./engine-worker.ts", import.meta.url).href
  // require.resolve would pick tsx's CommonJS entry, whose loader file does not exist.
  const tsx = createRequire(import.meta.url).resolve("tsx/package.json")
  const resolved = new URL("./dist/esm/api/index.mjs", pathToFileURL(tsx)).href
  const code = `import(${JSON.stringify(resolved)}).then((tsx) => { tsx.register(); return import(${JSON.stringify(entry)}) })`
  return new Worker(code, { eval: true })
}
