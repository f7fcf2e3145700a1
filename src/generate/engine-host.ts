/** The engine's end of the protocol, in a thread or a process of its own: takes calls one message at a time. */
import { randomInt } from "node:crypto"
import { ForerunError } from "../base/errors.ts"
import type { StreamEvent } from "../decoding/step.ts"
import type { KvCache } from "../runtime/kv-cache.ts"
import type { ForwardResult } from "../runtime/pass.ts"
import { Engine } from "./engine.ts"
import { type Call, type FromEngine, packError, type RemoteResult, type ToEngine } from "./protocol.ts"
import { runMethod } from "./run-method.ts"

/** A place to run the engine in, where onnxruntime blocks nobody else. */
export interface EngineHost {
  send(message: FromEngine): void
  /** The engine was disposed and its last message sent: nothing comes any more. */
  close(): void
}

/** @returns what takes the client's messages */
export function hostEngine({ send, close }: EngineHost): (message: ToEngine) => void {
  let engine: Engine | undefined
  const aborts = new Map<number, AbortController>()
  const caches = new Map<number, KvCache>()
  const passes = new Map<number, ForwardResult>()
  /** Numbers of an engine that is gone must mean nothing to the one that took its place. */
  let nextNumber = randomInt(2 ** 47)

  function loaded(): Engine {
    if (!engine) throw new ForerunError("E_DISPOSED", "the model was disposed")
    return engine
  }

  function cacheOf(number: number): KvCache {
    const cache = caches.get(number)
    if (!cache) throw new ForerunError("E_DISPOSED", "the cache was disposed")
    return cache
  }

  function addCache(cache: KvCache) {
    const number = nextNumber++
    caches.set(number, cache)
    return { cache: number, length: cache.length }
  }

  async function perform(id: number, call: Call, signal: AbortSignal): Promise<unknown> {
    switch (call.name) {
      case "load":
        engine = await Engine.load(call.path, { ...call.options, onProgress: (progress) => send({ id, progress }) })
        return engine.info
      case "generate": {
        const past = call.past === undefined ? undefined : cacheOf(call.past)
        return drain(loaded().stream(call.prompt, call.options, signal, past), (event) => {
          if (call.events) send({ id, event })
        })
      }
      case "run":
        return drain(runMethod(loaded(), call.method, call.input, { ...call.options, signal }), (event) =>
          send({ id, event }),
        )
      case "forward": {
        const { cache, ...pass } = call.pass
        const result = await loaded().runner.forward(cache === undefined ? pass : { ...pass, cache: cacheOf(cache) })
        const handle = nextNumber++
        if (cache !== undefined) passes.set(handle, result)
        const { logits, top, hidden } = result
        return { handle, hidden, ...(logits ? { logits } : {}), ...(top ? { top } : {}) } satisfies RemoteResult
      }
      case "keep": {
        const pass = passes.get(call.handle)
        if (!pass) throw new ForerunError("E_INPUT", "keep needs a pass that was given a cache and was not kept before")
        pass.keep(call.rows)
        passes.delete(call.handle)
        return undefined
      }
      case "dropPass":
        return void passes.delete(call.handle)
      case "openCache":
        return addCache(loaded().runner.openCache())
      case "forkCache":
        return addCache(cacheOf(call.cache).fork())
      case "rewindCache":
        cacheOf(call.cache).rewind(call.length)
        return undefined
      case "disposeCache":
        caches.get(call.cache)?.dispose()
        return void caches.delete(call.cache)
      case "score":
        return loaded().score(call.tokens, { signal, ...(call.top === undefined ? {} : { top: call.top }) })
      case "tokenize":
        return loaded().tokenizer.encode(call.text, { special: call.special, bos: call.bos })
      case "detokenize":
        return loaded().tokenizer.decode(call.tokens)
      case "encodePrompt":
        return loaded().encode(call.prompt, call.options)
      case "vocabulary":
        return loaded().vocabulary()
      case "costCurve":
        return loaded().costCurve({ fresh: call.fresh, signal })
      case "ledger":
        return loaded().runner.ledger.totals()
      case "memory":
        return process.memoryUsage()
      case "dispose": {
        const old = engine
        engine = undefined
        for (const cache of caches.values()) cache.dispose()
        caches.clear()
        passes.clear()
        await old?.dispose()
        return undefined
      }
    }
  }

  return (message) => {
    if ("abort" in message) return aborts.get(message.id)?.abort()
    const { id, call, aborted } = message
    const controller = new AbortController()
    if (aborted) controller.abort()
    aborts.set(id, controller)
    perform(id, call, controller.signal)
      .then((result) => send({ id, result }))
      .catch((thrown: unknown) => send({ id, error: packError(thrown) }))
      .finally(() => {
        aborts.delete(id)
        if (call.name === "dispose") close()
      })
  }
}

async function drain(run: AsyncGenerator<StreamEvent, unknown>, onEvent: (event: StreamEvent) => void) {
  for (;;) {
    const next = await run.next()
    if (next.done) return next.value
    onEvent(next.value)
  }
}
