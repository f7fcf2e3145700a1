/** The caller's end of the engine: calls go out, and each is settled once, whatever becomes of the engine. */
import type { ForerunError } from "../base/errors.ts"
import type { StreamEvent } from "../decoding/step.ts"
import type { EngineLink, StartLink } from "./engine-link.ts"
import { type Call, type FromEngine, unpackError } from "./protocol.ts"
import type { LoadProgress } from "./types.ts"

export interface CallOptions {
  readonly signal?: AbortSignal | undefined
  readonly onEvent?: (event: StreamEvent) => void
  readonly onProgress?: (progress: LoadProgress) => void
}

/** Whoever takes calls: one engine, or one that is started again when it is lost. */
export interface EngineCaller {
  call<T>(call: Call, options?: CallOptions): Promise<T>
}

interface Pending {
  readonly options: CallOptions
  readonly resolve: (result: never) => void
  readonly reject: (error: Error) => void
}

export class EngineClient implements EngineCaller {
  readonly #link: EngineLink
  readonly #pending = new Map<number, Pending>()
  #nextId = 1
  #gone: ForerunError | undefined

  /** @param onGone called once when the engine takes no more calls; those under way have been rejected */
  constructor(start: StartLink, onGone: () => void = () => {}) {
    this.#link = start({
      onMessage: (message) => this.#receive(message),
      onGone: (error) => {
        if (this.#gone) return
        this.#gone = error
        for (const { reject } of this.#pending.values()) reject(error)
        onGone()
      },
    })
    this.#link.unref() // referenced only while a call is under way
  }

  get pid(): number | undefined {
    return this.#link.pid
  }

  get isGone(): boolean {
    return this.#gone !== undefined
  }

  call<T>(call: Call, options: CallOptions = {}): Promise<T> {
    if (this.#gone) return Promise.reject(this.#gone)
    const id = this.#nextId++
    const aborted = options.signal?.aborted ?? false
    const abort = () => this.#gone === undefined && this.#link.send({ id, abort: true })
    const done = new Promise<T>((resolve, reject) => {
      this.#pending.set(id, { options, resolve: resolve as (result: never) => void, reject })
      this.#link.ref()
      this.#link.send({ id, call, aborted })
    })
    options.signal?.addEventListener("abort", abort)
    return done.finally(() => {
      options.signal?.removeEventListener("abort", abort)
      this.#pending.delete(id)
      if (this.#pending.size === 0) this.#link.unref()
    })
  }

  #receive(message: FromEngine): void {
    const pending = this.#pending.get(message.id)
    if (!pending) return
    if ("event" in message) pending.options.onEvent?.(message.event)
    else if ("progress" in message) pending.options.onProgress?.(message.progress)
    else if ("error" in message) pending.reject(unpackError(message.error))
    else pending.resolve(message.result as never)
  }
}

/** A call whose events are wanted; leaving the loop early stops the engine within one pass. */
export async function* streamCall<Event extends StreamEvent, Result>(
  client: EngineCaller,
  call: Call,
  { signal }: Pick<CallOptions, "signal">,
): AsyncGenerator<Event, Result> {
  const stop = new AbortController()
  const events: StreamEvent[] = []
  let wake = () => {}
  const result = client.call<Result>(call, {
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
