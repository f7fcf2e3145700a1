/** Answers with an OpenAI-compatible server: a group's first request goes alone, so that its prefix is in the server's cache. */
import { asTheyFinish, createSemaphore } from "../base/at-once.ts"
import { ForerunError } from "../base/errors.ts"
import type { GenerateOptions } from "../generate/types.ts"
import type { Executor, GroupEvent, GroupWork } from "./executor.ts"
import { isObject, type JobRequest } from "./request.ts"
import { RequestError, renamed } from "./request-options.ts"
import type { Answer } from "./result.ts"
import { ask, type ServerOptions, type ServerReply } from "./server-client.ts"

export interface ServerExecutorOptions extends ServerOptions {
  /** Name of the model, in place of the one in each body. */
  readonly model?: string
  /** Requests at a time; default 8. */
  readonly concurrency?: number
  /** Prompts as tokens, where the model's tokenizer is at hand; default the bytes of their text. */
  readonly encode?: (request: JobRequest) => Promise<Int32Array>
}

export function createServerExecutor(options: ServerExecutorOptions): Executor {
  const { model, concurrency = 8, encode = encodeBytes } = options
  const free = createSemaphore(concurrency)

  async function answerOne(request: JobRequest, defaults: GenerateOptions, signal: AbortSignal): Promise<Answer> {
    const body = { ...asBody(defaults), ...request.body, ...(model === undefined ? {} : { model }) }
    await free.take()
    try {
      return toAnswer(await ask(options, request.url, body, signal))
    } finally {
      free.give()
    }
  }

  return {
    identity: `server:${model ?? ""}`,
    lanes: concurrency,
    unit: options.encode ? "token" : "byte",
    async encode(request) {
      if (request.body.stream) throw new RequestError("stream", "a batch does not stream")
      return encode(request)
    },
    predictedTokens: ({ body }, defaults) =>
      Number(body.max_completion_tokens ?? body.max_tokens ?? defaults.maxTokens ?? 256) || 256,
    async *answer({ defaults, prefixLength, requests }: GroupWork, signal): AsyncGenerator<GroupEvent, void> {
      const one = async (request: JobRequest): Promise<GroupEvent> => ({
        type: "answered",
        request,
        answer: await answerOne(request, defaults, signal),
      })
      try {
        // Servers compute what two prompts share twice when both arrive before either was read.
        const first = prefixLength > 0 ? 1 : 0
        for (const request of requests.slice(0, first)) yield await one(request)
        yield* asTheyFinish(requests.slice(first).map(one))
      } catch (thrown) {
        if (!(thrown instanceof ForerunError && thrown.code === "E_ABORTED")) throw thrown
      }
    },
  }
}

function toAnswer({ status, body }: ServerReply): Answer {
  const usage = isObject(body) && isObject(body.usage) ? body.usage : {}
  const details = isObject(usage.prompt_tokens_details) ? usage.prompt_tokens_details : {}
  const count = (value: unknown) => (Number.isSafeInteger(value) ? (value as number) : 0)
  const promptTokens = count(usage.prompt_tokens)
  return {
    statusCode: status,
    body,
    promptTokens,
    computedTokens: promptTokens - Math.min(promptTokens, count(details.cached_tokens)),
    completionTokens: count(usage.completion_tokens),
  }
}

/** Defaults under the names that bodies use. */
function asBody({ maxTokens, stop, n, ...defaults }: GenerateOptions): Record<string, unknown> {
  const same = Object.entries(renamed).map(([param, option]) => [param, defaults[option as keyof typeof defaults]])
  const all = [...same, ["max_tokens", maxTokens], ["stop", stop], ["n", n]]
  return Object.fromEntries(all.filter(([, value]) => value !== undefined))
}

async function encodeBytes({ body }: JobRequest): Promise<Int32Array> {
  const { prompt, messages } = body
  const isIds = Array.isArray(prompt) && prompt.every((id) => Number.isInteger(id))
  const text = typeof prompt === "string" ? prompt : JSON.stringify(messages ?? prompt ?? "")
  const units = isIds ? Int32Array.from(prompt) : Int32Array.from(new TextEncoder().encode(text))
  if (units.length > 0) return units
  throw new RequestError(messages ? "messages" : "prompt", "the prompt is empty", "E_INPUT")
}
