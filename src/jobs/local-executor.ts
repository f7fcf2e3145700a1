/** Answers with a model in this process: a group's prefix is read into a cache once, and each request reads on from it. */
import { createHash } from "node:crypto"
import { setMaxListeners } from "node:events"
import { asTheyFinish, createSemaphore } from "../base/at-once.ts"
import { asForerunError, ForerunError } from "../base/errors.ts"
import type { Model, ModelCache } from "../generate/model.ts"
import type { GenerateOptions } from "../generate/types.ts"
import { blockSize } from "../models/builder.ts"
import { chooseMethod } from "./choose-method.ts"
import type { Executor, GroupEvent, GroupWork } from "./executor.ts"
import type { JobRequest } from "./request.ts"
import { answerable } from "./request-options.ts"
import { type Answer, completed, refused } from "./result.ts"
import { statusOf } from "./status.ts"

type LocalModel = Pick<Model, "info" | "encodePrompt" | "openCache" | "forward" | "generate" | "ledger">

/** @param options.name the model's in answers; default its file. @param options.concurrency requests at a time, whose passes run together; default 16 */
export function createLocalExecutor(
  model: LocalModel,
  options: { readonly concurrency?: number; readonly name?: string } = {},
): Executor {
  const { info } = model
  const { concurrency = 16 } = options
  const free = createSemaphore(concurrency)
  const name = info.path.split(/[\\/]/).at(-1)!
  const named = options.name ?? name

  async function encode(request: JobRequest, defaults: GenerateOptions): Promise<Int32Array> {
    const { prompt, options } = answerable(request, defaults)
    const tokens = await model.encodePrompt(prompt, { raw: options.raw ?? false })
    if (tokens.length === 0) throw new ForerunError("E_INPUT", "the prompt is empty: at least one token is needed")
    if (tokens.length < info.config.context) return tokens
    throw new ForerunError(
      "E_CONTEXT_LENGTH",
      `the prompt has ${tokens.length} tokens, the context holds ${info.config.context}`,
    )
  }

  async function read(tokens: Int32Array, signal: AbortSignal): Promise<ModelCache> {
    const cache = await model.openCache()
    for (let start = 0; start < tokens.length && !signal.aborted; start += blockSize) {
      const chunk = tokens.slice(start, start + blockSize)
      const pass = await model.forward({ input: { tokens: chunk }, cache, want: { logits: "none" } })
      await pass.keep(Array.from(chunk, (_, row) => row))
    }
    return cache
  }

  /** @returns undefined when aborted */
  async function answerOne(
    request: JobRequest,
    {
      job,
      defaults,
      past,
      signal,
    }: Pick<GroupWork, "job" | "defaults"> & {
      readonly past: ModelCache | undefined
      readonly signal: AbortSignal
    },
  ): Promise<Answer | undefined> {
    await free.take()
    try {
      if (signal.aborted) return undefined
      const options = await chooseMethod(answerable(request, defaults).options, request.body)
      const tokens = await encode(request, defaults)
      const seed = options.seed ?? seedOf(job, request)
      const result = await model.generate({ tokens }, { ...options, seed, signal, ...(past ? { past } : {}) })
      const answers = result.choices ?? [result]
      if (signal.aborted || answers.some(({ finishReason }) => finishReason === "abort")) return undefined
      return completed(request, answers, { model: named, cachedTokens: result.cachedTokens })
    } catch (thrown) {
      const error = asForerunError(thrown)
      const status = statusOf[error.code]
      if (status === undefined) throw error
      await model.ledger() // throws when the engine itself is gone: then this is not the request's failure
      return refused(error, status)
    } finally {
      free.give()
    }
  }

  return {
    identity: identityOf(model, name),
    lanes: concurrency,
    unit: "token",
    encode,
    predictedTokens: (request, defaults) => answerable(request, defaults).options.maxTokens ?? 256,
    async *answer({ job, defaults, prefixLength, requests }: GroupWork, signal): AsyncGenerator<GroupEvent, void> {
      let past: ModelCache | undefined
      let running: Promise<readonly [JobRequest, Answer | undefined]>[] = []
      const stop = new AbortController()
      const ended = AbortSignal.any([signal, stop.signal])
      setMaxListeners(0, ended) // one for each request
      try {
        if (prefixLength > 0) {
          past = await read((await encode(requests[0]!, defaults)).subarray(0, prefixLength), ended)
          yield { type: "prefix-read", tokens: past.length }
        }
        const one = async (request: JobRequest) =>
          [request, await answerOne(request, { job, defaults, past, signal: ended })] as const
        running = requests.map(one)
        for await (const [request, answer] of asTheyFinish(running))
          if (answer) yield { type: "answered", request, answer }
      } finally {
        stop.abort()
        await Promise.allSettled(running)
        await past?.dispose()
      }
    },
  }
}

/** Answers that were sampled without a seed stay the same when a job is resumed, and on any machine. */
function seedOf(job: string, { customId }: JobRequest): number {
  const digest = createHash("sha256").update(`${job}\n${customId}\nseed`).digest()
  return digest.readUIntBE(0, 6)
}

/** The weights' own hash is not known here; name, format and every setting of the model stand for it. */
function identityOf({ info }: LocalModel, name: string): string {
  const { architecture, config, weights } = info
  const text = JSON.stringify({ name, architecture, config, weights })
  return `${name}:${weights}:${createHash("sha256").update(text).digest("hex").slice(0, 16)}`
}
