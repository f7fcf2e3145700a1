/** POST /v1/responses, without a store: the whole conversation comes with each request. */
import { randomUUID } from "node:crypto"
import { RequestError } from "../../jobs/request-options.ts"
import type { usageOf } from "../../jobs/usage.ts"
import { apiError } from "../api-error.ts"
import { parseBody, responseBody } from "../bodies.ts"
import { type Prepared, prepare } from "../completions/prepare.ts"
import { answers } from "../completions/streamed.ts"
import type { ApiRequest, Route, ServerContext } from "../context.ts"
import { eventHeaders, eventStream } from "../event-stream.ts"
import { putBack } from "../put-back.ts"
import { readJson } from "../read-body.ts"
import type { Delta } from "../tools/tool-reader.ts"
import { createOutput } from "./output.ts"
import { chatOf } from "./to-chat.ts"

type Usage = ReturnType<typeof usageOf>

interface ChatChunk {
  readonly choices: readonly { readonly delta: Delta | object; readonly finish_reason: string | null }[]
  readonly usage?: Usage | null
}

async function respond(request: ApiRequest, context: ServerContext): Promise<Response> {
  const body = parseBody(responseBody, await readJson(request.raw, context.settings.limits.bodyBytes))
  const prepared = await prepare("/v1/chat/completions", chatOf(body), context, request).catch(blamedOnInput)
  const stop = new AbortController()
  const signal = AbortSignal.any([request.signal, stop.signal])
  const events = eventsOf(prepared, body, { request, context, signal })
  const first = await events.next().catch(blamedOnInput)
  const all = putBack(first, events)
  if (body.stream !== true) {
    let last: { readonly response?: object } = {}
    for await (const event of all) last = event as typeof last
    return Response.json(last.response)
  }
  const stream = eventStream(numbered(all), {
    isNamed: true,
    pingMs: context.settings.limits.pingSeconds * 1000,
    failure: (thrown) => ({ ...apiError(thrown, "input").toJSON().error, type: "error" }),
    onEnd(reason) {
      stop.abort()
      request.leave(reason)
    },
  })
  return new Response(stream, { headers: eventHeaders })
}

/** What a chat calls messages is the input here. */
function blamedOnInput(thrown: unknown): never {
  if (thrown instanceof RequestError && thrown.param === "messages")
    throw new RequestError("input", thrown.message, thrown.code)
  throw apiError(thrown, "input")
}

async function* numbered(events: AsyncGenerator<object>): AsyncGenerator<object> {
  let sequence_number = 0
  for await (const event of events) yield { ...event, sequence_number: sequence_number++ }
}

interface Run {
  readonly request: ApiRequest
  readonly context: ServerContext
  readonly signal: AbortSignal
}

async function* eventsOf(
  prepared: Prepared,
  body: Readonly<Record<string, unknown>>,
  run: Run,
): AsyncGenerator<object> {
  const output = createOutput()
  const described = describe(body, run.context)
  const response = (status: string, more: object = {}) => ({ ...described, status, output: [], ...more })
  let reason = "stop"
  let usage: Usage | undefined
  let isBegun = false
  for await (const chunk of answers({ ...prepared, includeUsage: true }, { ...run, named: {} })) {
    if (typeof chunk === "string") break
    if (!isBegun) {
      isBegun = true
      yield { type: "response.created", response: response("in_progress") }
      yield { type: "response.in_progress", response: response("in_progress") }
    }
    const { choices, usage: spent } = chunk as ChatChunk
    usage = spent ?? usage
    for (const { delta, finish_reason } of choices) {
      reason = finish_reason ?? reason
      if ("tool_calls" in delta || ("content" in delta && delta.content !== "")) yield* output.push(delta as Delta)
    }
  }
  const status = reason === "length" ? "incomplete" : "completed"
  yield* output.end(status)
  const details = status === "incomplete" ? { incomplete_details: { reason: "max_output_tokens" } } : {}
  const final = response(status, { output: output.output(status), usage: usageHere(usage!), ...details })
  yield { type: `response.${status}`, response: final }
}

const usageHere = (usage: Usage) => ({
  input_tokens: usage.prompt_tokens,
  input_tokens_details: usage.prompt_tokens_details,
  output_tokens: usage.completion_tokens,
  output_tokens_details: { reasoning_tokens: 0 },
  total_tokens: usage.total_tokens,
})

/** What a response repeats of its request. JSON's null stands where the format has it. */
function describe(body: Readonly<Record<string, unknown>>, { settings }: ServerContext): object {
  const given = (name: string, otherwise: unknown) => ({ [name]: body[name] ?? otherwise })
  return {
    id: `resp_${randomUUID().replaceAll("-", "")}`,
    object: "response",
    created_at: Math.floor(Date.now() / 1000),
    model: settings.name,
    ...{ error: null, incomplete_details: null, usage: null, store: false, previous_response_id: null },
    ...given("instructions", null),
    ...given("max_output_tokens", null),
    ...given("metadata", {}),
    ...given("parallel_tool_calls", true),
    ...given("temperature", settings.defaults.temperature ?? 1),
    ...given("top_p", settings.defaults.topP ?? 1),
    ...given("text", { format: { type: "text" } }),
    ...given("tools", []),
    ...given("tool_choice", "auto"),
    ...{ truncation: "disabled", reasoning: { effort: null, summary: null } },
  }
}

export const responseRoutes: readonly Route[] = [
  {
    method: "POST",
    path: "/v1/responses",
    summary: "An answer as items; nothing is stored.",
    body: responseBody,
    handle: respond,
  },
]
