/** OpenAI's answers in the AI SDK's terms: usage, reasons, what came beside the text. Pure. */
import type { JSONObject, LanguageModelV3Usage, SharedV3ProviderMetadata, SharedV3Warning } from "@ai-sdk/provider"

export interface Usage {
  readonly prompt_tokens: number
  readonly completion_tokens: number
  readonly prompt_tokens_details?: { readonly cached_tokens?: number }
  readonly completion_tokens_details?: {
    readonly accepted_prediction_tokens?: number
    readonly rejected_prediction_tokens?: number
  }
}

export interface Logprobs {
  readonly content: readonly JSONObject[]
}

export interface Call {
  readonly id: string
  readonly function: { readonly name: string; readonly arguments: string }
}

export interface Completion {
  readonly id: string
  readonly created: number
  readonly model: string
  readonly choices: readonly {
    readonly message: { readonly content: string | null; readonly tool_calls?: readonly Call[] }
    readonly finish_reason: string
    readonly logprobs: Logprobs | null
  }[]
  readonly usage: Usage
  readonly metrics?: { readonly speculative_decoding: JSONObject }
}

export interface CallDelta {
  readonly index: number
  readonly id?: string
  readonly function: { readonly name?: string; readonly arguments: string }
}

export interface Chunk {
  readonly id: string
  readonly created: number
  readonly model: string
  readonly choices: readonly {
    readonly delta: { readonly content?: string | null; readonly tool_calls?: readonly CallDelta[] }
    readonly finish_reason: string | null
    readonly logprobs?: Logprobs | null
  }[]
  readonly usage?: Usage | null
  readonly metrics?: Completion["metrics"]
  readonly error?: { readonly message: string }
}

export function usageOf(usage: Usage | undefined): LanguageModelV3Usage {
  const cacheRead = usage?.prompt_tokens_details?.cached_tokens
  const [total, written] = [usage?.prompt_tokens, usage?.completion_tokens]
  const noCache = total === undefined ? undefined : total - (cacheRead ?? 0)
  return {
    inputTokens: { total, noCache, cacheRead, cacheWrite: undefined },
    outputTokens: { total: written, text: written, reasoning: undefined },
    ...(usage ? { raw: usage as unknown as JSONObject } : {}),
  }
}

const reasons = { stop: "stop", length: "length", tool_calls: "tool-calls", content_filter: "content-filter" } as const

export const finishReason = (raw: string | undefined) => ({
  unified: reasons[raw as keyof typeof reasons] ?? ("other" as const),
  raw,
})

export const responseOf = ({ id, created, model }: Pick<Chunk, "id" | "created" | "model">) => ({
  ...{ id, modelId: model },
  timestamp: new Date(created * 1000),
})

/** How drafts and predictions fared, and log-probabilities where they were asked for. */
export function metadataOf(
  { metrics, usage }: Pick<Chunk, "metrics" | "usage">,
  logprobs: readonly JSONObject[] | undefined,
): SharedV3ProviderMetadata {
  const details = usage?.completion_tokens_details
  return {
    forerun: {
      ...(metrics ? { speculation: metrics.speculative_decoding } : {}),
      acceptedPredictionTokens: details?.accepted_prediction_tokens ?? 0,
      rejectedPredictionTokens: details?.rejected_prediction_tokens ?? 0,
      ...(logprobs ? { logprobs: [...logprobs] } : {}),
    },
  }
}

/** The server names what it passed over. */
export const ignoredBy = ({ headers }: Response): SharedV3Warning[] =>
  (headers.get("forerun-ignored") ?? "")
    .split(", ")
    .filter(Boolean)
    .map((name) => ({ type: "unsupported", feature: name, details: "the server does not know it" }))
