/** An engine in a process of its own that is started again when it is lost: calls under way fail, later ones wait for it. */
import { ForerunError } from "../base/errors.ts"
import { type CallOptions, type EngineCaller, EngineClient } from "./engine-client.ts"
import type { StartLink } from "./engine-link.ts"
import type { EngineState } from "./model.ts"
import type { Call } from "./protocol.ts"

export interface LastingOptions {
  readonly start: StartLink
  /** Milliseconds that a call waits for an engine that is starting again; default 10,000. */
  readonly patienceMs?: number
  /** Milliseconds before the second start in a row, doubled for each further one; default 500. */
  readonly pauseMs?: number
}

const longestPause = 30_000

export class LastingEngine implements EngineCaller {
  readonly #options: Required<LastingOptions>
  #load: Call | undefined
  /** Takes calls now. */
  #ready: EngineClient | undefined
  /** The engine that takes calls, or the one that will. */
  #coming: Promise<EngineClient>
  #isDisposed = false
  #failures = 0
  /** Engines that took the place of one that was lost. */
  #restarts = 0

  constructor({ start, patienceMs = 10_000, pauseMs = 500 }: LastingOptions) {
    this.#options = { start, patienceMs, pauseMs }
    const first: EngineClient = new EngineClient(start, () => this.#lost(first))
    this.#coming = Promise.resolve(first)
  }

  get state(): EngineState {
    const pid = this.#ready?.pid
    return { isReady: this.#ready !== undefined, restarts: this.#restarts, ...(pid === undefined ? {} : { pid }) }
  }

  /** The first call loads the model; what it says is said again to every engine that follows. */
  async call<T>(call: Call, options: CallOptions = {}): Promise<T> {
    if (call.name === "dispose") return this.#dispose(call) as Promise<T>
    if (this.#isDisposed) throw new ForerunError("E_DISPOSED", "the model was disposed")
    if (this.#ready) return this.#ready.call<T>(call, options)
    if (call.name === "load") return this.#begin<T>(call, options)
    return (await this.#patiently(options.signal)).call<T>(call, options)
  }

  /** A model that cannot be loaded is the caller's to know: nothing is started again. */
  async #begin<T>(call: Call, options: CallOptions): Promise<T> {
    const engine = await this.#coming
    const info = await engine.call<T>(call, options)
    this.#load = call
    this.#adopt(engine)
    return info
  }

  async #dispose(call: Call): Promise<void> {
    this.#isDisposed = true
    const engine = this.#ready ?? (this.#load === undefined ? await this.#coming : undefined)
    this.#ready = undefined
    await engine?.call(call)
  }

  /** One that was lost in the same moment is as good as one that is lost in the next. */
  #adopt(engine: EngineClient): void {
    this.#ready = engine
    if (engine.isGone) this.#lost(engine)
  }

  /** Those that never took calls are looked after where they are started. */
  #lost(engine: EngineClient): void {
    if (this.#isDisposed || this.#ready !== engine) return
    this.#ready = undefined
    this.#coming = this.#startAgain()
    this.#coming.catch(() => {}) // reported to those who wait
  }

  async #startAgain(): Promise<EngineClient> {
    const load = this.#load!
    for (;;) {
      const { start, pauseMs } = this.#options
      if (this.#failures > 0)
        await new Promise<void>((resolve) => {
          setTimeout(resolve, Math.min(pauseMs * 2 ** (this.#failures - 1), longestPause)).unref()
        })
      if (this.#isDisposed) throw new ForerunError("E_DISPOSED", "the model was disposed")
      this.#failures++
      const engine: EngineClient = new EngineClient(start, () => this.#lost(engine))
      try {
        await engine.call(load)
      } catch {
        continue
      }
      if (this.#isDisposed) {
        await engine.call({ name: "dispose" })
        throw new ForerunError("E_DISPOSED", "the model was disposed")
      }
      this.#failures = 0
      this.#restarts++
      this.#adopt(engine)
      return engine
    }
  }

  async #patiently(signal: AbortSignal | undefined): Promise<EngineClient> {
    let timer: NodeJS.Timeout | undefined
    let stop = () => {}
    const enough = new Promise<never>((_, reject) => {
      const fail = () => reject(new ForerunError("E_ENGINE_LOST", "the engine is being started again"))
      timer = setTimeout(fail, this.#options.patienceMs)
      stop = fail
      if (signal?.aborted) fail()
      signal?.addEventListener("abort", stop, { once: true })
    })
    try {
      return await Promise.race([this.#coming, enough])
    } finally {
      clearTimeout(timer)
      signal?.removeEventListener("abort", stop)
    }
  }
}
