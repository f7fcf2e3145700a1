/** A lane on an OpenAI-compatible server: one streamed chat completion, whose connection is closed to cancel it. */
import { ForerunError } from "../../base/errors.ts"
import type { StreamEvent } from "../../decoding/step.ts"
import type { Lane, LaneNews } from "./race.ts"

export interface ServerRequest {
  /** Base address, with or without "/v1". */
  readonly url: string
  readonly model: string
  readonly messages: readonly { readonly role: string; readonly content: string }[]
  readonly maxTokens: number
  readonly temperature: number
  readonly topP: number
  readonly seed: number
  /** Text whose appearance is the finish; absent: the end of the sequence. */
  readonly finishText?: string
}

export interface ServerLane extends Lane<StreamEvent> {
  readonly text: string
  /** As the server reports it, where it does. */
  readonly promptTokens: number | undefined
}

/** A chunk with text counts as one token, which is what servers send. */
export function createServerLane(branch: number, request: ServerRequest, signal: AbortSignal): ServerLane {
  const abort = new AbortController()
  const chunks = streamChunks(request, AbortSignal.any([signal, abort.signal]))
  let [length, text] = [0, ""]
  let promptTokens: number | undefined
  return {
    get length() {
      return length
    },
    get text() {
      return text
    },
    get promptTokens() {
      return promptTokens
    },
    async advance(): Promise<LaneNews<StreamEvent>> {
      const { finishText } = request
      for (;;) {
        const next = await chunks.next()
        if (next.done) return { steps: [], ended: "unfinished" }
        const { content, reason, usage } = next.value
        promptTokens = usage ?? promptTokens
        const from = Math.max(0, text.length - (finishText?.length ?? 0))
        text += content
        if (content !== "") length++
        const steps: StreamEvent[] = content === "" ? [] : [{ type: "text-appended", branch, text: content }]
        if (finishText !== undefined && text.includes(finishText, from)) return { steps, ended: "finished" }
        if (reason !== undefined)
          return { steps, ended: reason === "stop" && finishText === undefined ? "finished" : "unfinished" }
        if (content !== "") return { steps }
      }
    },
    async cancel() {
      abort.abort()
      await chunks.return(undefined).catch(() => {}) // a connection that breaks while it is being closed
    },
  }
}

interface Chunk {
  readonly content: string
  readonly reason: string | undefined
  readonly usage: number | undefined
}

async function* streamChunks(request: ServerRequest, signal: AbortSignal): AsyncGenerator<Chunk, void> {
  try {
    const response = await send(request, signal)
    for await (const data of events(response.body!)) {
      if (data === "[DONE]") return
      yield readChunk(data, request.url)
    }
  } catch (thrown) {
    if (signal.aborted) return
    if (thrown instanceof ForerunError) throw thrown
    const cause = thrown instanceof Error && thrown.cause instanceof Error ? thrown.cause : thrown
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new ForerunError("E_PEER", `${request.url} failed: ${reason}`, { cause: thrown })
  }
}

async function send(request: ServerRequest, signal: AbortSignal): Promise<Response> {
  const { url, model, messages, maxTokens, temperature, topP, seed } = request
  const base = url.replace(/\/+$/, "").replace(/\/v1$/, "")
  const body = { model, messages, max_tokens: maxTokens, temperature, top_p: topP, seed, stream: true }
  const key = process.env.OPENAI_API_KEY
  const response = await fetch(`${base}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json", ...(key ? { authorization: `Bearer ${key}` } : {}) },
    body: JSON.stringify({ ...body, stream_options: { include_usage: true } }),
    signal,
  })
  if (response.ok && response.body) return response
  const text = (await response.text()).slice(0, 200)
  throw new ForerunError("E_PEER", `${request.url} answered ${response.status}: ${text}`)
}

/** Longer lines are no tokens. */
const maxLine = 1 << 20

/** Data fields of a server-sent event stream. */
async function* events(body: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder()
  let held = ""
  for await (const bytes of body as unknown as AsyncIterable<Uint8Array>) {
    held += decoder.decode(bytes, { stream: true })
    const lines = held.split(/\r?\n/)
    held = lines.pop()!
    if (held.length > maxLine) throw new ForerunError("E_PEER", "the server sent a line without end")
    for (const line of lines) if (line.startsWith("data:")) yield line.slice(5).trim()
  }
}

function readChunk(data: string, url: string): Chunk {
  try {
    const value = JSON.parse(data)
    if (value.error) throw new Error(JSON.stringify(value.error).slice(0, 200))
    const choice = value.choices?.[0]
    const content: unknown = choice?.delta?.content ?? ""
    if (typeof content !== "string") throw new Error("content that is no text")
    const usage: unknown = value.usage?.prompt_tokens
    return {
      content,
      reason: choice?.finish_reason ?? undefined,
      usage: typeof usage === "number" ? usage : undefined,
    }
  } catch (thrown) {
    throw new ForerunError("E_PEER", `${url} sent what is no completion: ${(thrown as Error).message}`, {
      cause: thrown,
    })
  }
}
