/** POST /steps: what a method does while it answers, as server-sent events: its steps, texts, and the result. */
import { RequestError } from "../jobs/request-options.ts"
import { apiError } from "./api-error.ts"
import { stepsBody } from "./bodies.ts"
import { prepare } from "./completions/prepare.ts"
import type { ApiRequest, Route, ServerContext } from "./context.ts"
import { eventHeaders, eventStream } from "./event-stream.ts"
import { putBack } from "./put-back.ts"
import { readJson } from "./read-body.ts"

async function steps(request: ApiRequest, context: ServerContext): Promise<Response> {
  const body = await readJson(request.raw, context.settings.limits.bodyBytes)
  const isChat = body.messages !== undefined
  const prepared = await prepare(isChat ? "/v1/chat/completions" : "/v1/completions", body, context, request)
  const prompt = isChat ? "messages" : "prompt"
  if (prepared.prompts.length > 1 || prepared.echo)
    throw new RequestError(prompt, "the steps are those of one prompt, without echo")
  const stop = new AbortController()
  const signal = AbortSignal.any([request.signal, stop.signal])
  const events = told(context.model.stream(prepared.prompts[0]!, { ...prepared.options, signal }), request.signal)
  try {
    const first = await events.next()
    const stream = eventStream(putBack(first, events), {
      pingMs: context.settings.limits.pingSeconds * 1000,
      failure: (thrown) => apiError(thrown, prompt),
      onEnd(reason) {
        stop.abort()
        request.leave(reason)
      },
    })
    return new Response(stream, { headers: eventHeaders })
  } catch (thrown) {
    throw apiError(thrown, prompt)
  }
}

/** The result is the last event, so that whoever replays the steps can check what came out. */
async function* told(run: ReturnType<ServerContext["model"]["stream"]>, signal: AbortSignal): AsyncGenerator<unknown> {
  const result = yield* run
  signal.throwIfAborted()
  yield { type: "result", result }
  yield "[DONE]"
}

export const stepRoutes: readonly Route[] = [
  {
    method: "POST",
    path: "/steps",
    summary: "The steps of an answer, as they happen.",
    body: stepsBody,
    handle: steps,
  },
]
