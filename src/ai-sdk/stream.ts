/** A streamed chat as the AI SDK's parts. */
import type { JSONObject, LanguageModelV3StreamPart } from "@ai-sdk/provider"
import { EventSourceParserStream } from "eventsource-parser/stream"
import { type CallDelta, type Chunk, finishReason, metadataOf, responseOf, usageOf } from "./answer.ts"

/** What both versions of the specification have, and what we send. */
export type StreamPart = Exclude<LanguageModelV3StreamPart, { type: "file" }>

export interface PartsOptions {
  readonly warnings: Extract<StreamPart, { type: "stream-start" }>["warnings"]
  readonly includeRaw: boolean
}

/** Cancelling what is returned leaves the server, which then stops. */
export function partsOf(body: ReadableStream<Uint8Array>, options: PartsOptions): ReadableStream<StreamPart> {
  const reader = createPartsReader()
  return body
    .pipeThrough(new TextDecoderStream())
    .pipeThrough(new EventSourceParserStream())
    .pipeThrough(
      new TransformStream({
        start: (controller) => controller.enqueue({ type: "stream-start", warnings: options.warnings }),
        transform({ data }, controller) {
          if (data === "[DONE]") return
          const chunk = JSON.parse(data) as Chunk
          if (options.includeRaw) controller.enqueue({ type: "raw", rawValue: chunk })
          for (const part of reader.push(chunk)) controller.enqueue(part)
        },
        flush(controller) {
          for (const part of reader.end()) controller.enqueue(part)
        },
      }),
    )
}

interface OpenCall {
  readonly id: string
  readonly name: string
  input: string
}

/** Text and calls come one after the other; a part that begins ends the one before it. */
function createPartsReader() {
  let text: string | undefined
  let call: (OpenCall & { readonly index: number }) | undefined
  let blocks = 0
  let isFirst = true
  let reason: string | undefined
  let failed = false
  let last: Pick<Chunk, "usage" | "metrics"> = {}
  let logprobs: JSONObject[] | undefined

  function* close(): Generator<StreamPart> {
    if (text !== undefined) yield { type: "text-end", id: text }
    if (call) {
      yield { type: "tool-input-end", id: call.id }
      yield { type: "tool-call", toolCallId: call.id, toolName: call.name, input: call.input }
    }
    text = call = undefined
  }

  function* readText(delta: string): Generator<StreamPart> {
    if (text === undefined) {
      yield* close()
      text = `text-${blocks++}`
      yield { type: "text-start", id: text }
    }
    yield { type: "text-delta", id: text, delta }
  }

  function* readCall({ index, id, function: { name, arguments: delta } }: CallDelta): Generator<StreamPart> {
    if (call?.index !== index) {
      yield* close()
      call = { index, id: id!, name: name!, input: "" }
      yield { type: "tool-input-start", id: call.id, toolName: call.name }
    }
    if (delta === "") return
    call.input += delta
    yield { type: "tool-input-delta", id: call.id, delta }
  }

  return {
    *push(chunk: Chunk): Generator<StreamPart> {
      if (chunk.error) {
        failed = true
        yield { type: "error", error: chunk.error }
        return
      }
      if (isFirst) yield { type: "response-metadata", ...responseOf(chunk) }
      isFirst = false
      if (chunk.usage) last = chunk
      const choice = chunk.choices[0]
      if (!choice) return
      if (choice.logprobs) logprobs = [...(logprobs ?? []), ...choice.logprobs.content]
      if (choice.delta.content) yield* readText(choice.delta.content)
      for (const delta of choice.delta.tool_calls ?? []) yield* readCall(delta)
      reason = choice.finish_reason ?? reason
    },
    *end(): Generator<StreamPart> {
      yield* close()
      yield {
        type: "finish",
        finishReason: failed ? { unified: "error", raw: undefined } : finishReason(reason),
        usage: usageOf(last.usage ?? undefined),
        providerMetadata: metadataOf(last, logprobs),
      }
    },
  }
}
