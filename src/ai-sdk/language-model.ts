/** A chat model as the AI SDK calls it, in version 3 or 4 of its specification. */
import type { LanguageModelV3, LanguageModelV3Text, LanguageModelV3ToolCall, LanguageModelV4 } from "@ai-sdk/provider"
import { type Completion, finishReason, ignoredBy, metadataOf, responseOf, usageOf } from "./answer.ts"
import { headersOf, post, type Server } from "./call.ts"
import { type CallOptions, chatRequest } from "./request.ts"
import { partsOf } from "./stream.ts"

export interface Models {
  readonly v3: LanguageModelV3
  readonly v4: LanguageModelV4
}
export type Version = keyof Models

/** The versions differ in what files and reasoning look like, which is nothing that passes here. */
export function languageModel<V extends Version>(server: Server, modelId: string, version: V): Models[V] {
  const model = {
    ...{ provider: "forerun", modelId, supportedUrls: {} },
    doGenerate: (options: CallOptions) => generate(server, modelId, options),
    doStream: (options: CallOptions) => stream(server, modelId, options),
  }
  const models: Models = {
    v3: { ...model, specificationVersion: "v3" },
    v4: { ...model, specificationVersion: "v4" },
  }
  return models[version]
}

const path = "/chat/completions"

async function generate(server: Server, modelId: string, options: CallOptions) {
  const { body, warnings } = chatRequest(options, modelId)
  const response = await post(server, { path, body, headers: options.headers, signal: options.abortSignal })
  const completion = (await response.json()) as Completion
  const { message, finish_reason: reason, logprobs } = completion.choices[0]!
  return {
    content: contentOf(message),
    finishReason: finishReason(reason),
    usage: usageOf(completion.usage),
    providerMetadata: metadataOf(completion, logprobs?.content),
    request: { body },
    response: { ...responseOf(completion), headers: headersOf(response), body: completion },
    warnings: [...warnings, ...ignoredBy(response)],
  }
}

function contentOf({ content, tool_calls: calls = [] }: Completion["choices"][number]["message"]) {
  const text: LanguageModelV3Text[] = content ? [{ type: "text", text: content }] : []
  const called = calls.map(
    ({ id, function: { name, arguments: input } }): LanguageModelV3ToolCall => ({
      ...{ type: "tool-call", toolCallId: id, toolName: name, input },
    }),
  )
  return [...text, ...called]
}

async function stream(server: Server, modelId: string, options: CallOptions) {
  const { body: plain, warnings } = chatRequest(options, modelId)
  const body = { ...plain, stream: true, stream_options: { include_usage: true } }
  const response = await post(server, { path, body, headers: options.headers, signal: options.abortSignal })
  return {
    stream: partsOf(response.body!, {
      warnings: [...warnings, ...ignoredBy(response)],
      includeRaw: options.includeRawChunks === true,
    }),
    request: { body },
    response: { headers: headersOf(response) },
  }
}
