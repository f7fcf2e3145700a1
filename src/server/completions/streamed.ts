/** A completion as it comes: chunks of server-sent events. */
import type { GenerateResult, PromptInput } from "../../generate/types.ts"
import { speculationMetrics, usageOf } from "../../jobs/usage.ts"
import { apiError } from "../api-error.ts"
import type { ApiRequest, ServerContext } from "../context.ts"
import { eventHeaders, eventStream } from "../event-stream.ts"
import { putBack } from "../put-back.ts"
import { type Chunk, type ChunkOptions, chunksOf, shapes } from "./chunks.ts"
import { readEcho, withEcho } from "./echo.ts"
import type { Prepared } from "./prepare.ts"

interface Streaming {
  readonly context: ServerContext
  readonly named: object
}

/** What fails before the first event is an answer of its own; what fails later ends the stream with an error. */
export async function answerStreamed(prepared: Prepared, request: ApiRequest, streaming: Streaming): Promise<Response> {
  const { context } = streaming
  const stop = new AbortController()
  const signal = AbortSignal.any([request.signal, stop.signal])
  const chunks = timed(answers(prepared, { ...streaming, signal, request }), context)
  const first = await chunks.next()
  const stream = eventStream(putBack(first, chunks), {
    pingMs: context.settings.limits.pingSeconds * 1000,
    failure: (thrown) => apiError(thrown, promptName(prepared)),
    onEnd(reason) {
      stop.abort()
      request.leave(reason)
    },
  })
  return new Response(stream, { headers: eventHeaders })
}

export const promptName = ({ url }: Pick<Prepared, "url">): string =>
  url === "/v1/chat/completions" ? "messages" : "prompt"

interface Run extends Streaming {
  readonly signal: AbortSignal
  readonly request: ApiRequest
}

/** The chunks of all answers, and "[DONE]". */
export async function* answers(prepared: Prepared, run: Run): AsyncGenerator<unknown> {
  const { context, named, request } = run
  const { includeUsage, prompts, url, n } = prepared
  const common = { ...named, object: shapes[url].object }
  const dress = (chunk: Chunk) => ({ ...common, ...chunk, ...(includeUsage ? { usage: null } : {}) })
  const results: GenerateResult[] = []
  let [promptTokens, cachedTokens] = [0, 0]
  for (const [i, prompt] of prompts.entries()) {
    const answered = yield* answerPrompt(prompt, prepared, { ...run, dress, first: i * n })
    promptTokens += answered.promptTokens
    cachedTokens += answered.results[0]?.cachedTokens ?? 0
    results.push(...answered.results)
    context.metrics.generated(answered.results)
    request.signal.throwIfAborted()
  }
  if (includeUsage) {
    const metrics = speculationMetrics(results)
    const usage = usageOf(results, { promptTokens, cachedTokens })
    yield { ...common, choices: [], usage, ...(metrics ? { metrics: { speculative_decoding: metrics } } : {}) }
  }
  yield "[DONE]"
}

interface PromptRun extends Run, Pick<ChunkOptions, "first" | "dress"> {}

async function* answerPrompt(prompt: PromptInput, prepared: Prepared, run: PromptRun) {
  const { context, signal, first, dress } = run
  const { options, n, echo, isPromptOnly, url, reader } = prepared
  const front = echo ? await readEcho(context, prompt, { top: options.logprobs, signal }) : undefined
  if (front)
    for (let index = first; index < first + n; index++) {
      const logprobs = front.reports ? withEcho(front.reports, []) : null
      const reason = isPromptOnly ? "length" : null
      yield dress({ choices: [{ index, text: front.text, logprobs, finish_reason: reason }] })
    }
  if (isPromptOnly) return { promptTokens: front!.promptTokens, results: [] }
  const spelling = await context.spelling()
  const events = context.model.stream(prompt, { ...options, signal })
  // The engine's first word: a prompt that does not fit is refused before anything is sent.
  const begun = putBack(await events.next(), events)
  const result = yield* chunksOf(begun, url, {
    ...{ n, first, dress, reader, spelling },
    logprobs: options.logprobs !== undefined,
  })
  return { promptTokens: result.promptTokens, results: result.choices ?? [result] }
}

/** Tells the metrics when text comes. */
async function* timed<T>(chunks: AsyncGenerator<T>, { metrics }: ServerContext): AsyncGenerator<T> {
  let last = performance.now()
  let count = 0
  try {
    for await (const chunk of chunks) {
      const now = performance.now()
      const seconds = (now - last) / 1000
      if (count++ === 1) metrics.firstText(seconds)
      else if (count > 2) metrics.betweenTexts(seconds)
      if (count !== 1) last = now
      yield chunk
    }
  } finally {
    await chunks.return(undefined)
  }
}
