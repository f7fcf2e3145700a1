/** Answers as OpenAI writes them, and the line of a job's output. JSON's null stands where that format has it. */
import { createHash } from "node:crypto"
import type { ForerunError } from "../base/errors.ts"
import type { GenerateResult, TokenReport } from "../generate/types.ts"
import type { BadLine, JobRequest, RequestUrl } from "./request.ts"
import { RequestError } from "./request-options.ts"

/** What came of a request, and what it cost. */
export interface Answer {
  readonly statusCode: number
  /** A completion, or `{ error }`. */
  readonly body: unknown
  readonly promptTokens: number
  /** Tokens of the prompt that were read for this request alone. */
  readonly computedTokens: number
  readonly completionTokens: number
}

export interface AnsweredBy {
  readonly model: string
  /** Tokens of the prompt that were read before, for others too. */
  readonly cachedTokens: number
}

export function completed(
  { url }: Pick<JobRequest, "url">,
  result: GenerateResult,
  { model, cachedTokens }: AnsweredBy,
): Answer {
  const { promptTokens, tokens } = result
  const usage = {
    prompt_tokens: promptTokens,
    completion_tokens: tokens.length,
    total_tokens: promptTokens + tokens.length,
    prompt_tokens_details: { cached_tokens: cachedTokens },
  }
  const created = Math.floor(Date.now() / 1000)
  const body = { ...shapes[url](result), created, model, usage }
  return {
    statusCode: 200,
    body,
    promptTokens,
    computedTokens: promptTokens - cachedTokens,
    completionTokens: tokens.length,
  }
}

const shapes: Readonly<Record<RequestUrl, (result: GenerateResult) => object>> = {
  "/v1/chat/completions": ({ text, finishReason, logprobs }) => ({
    object: "chat.completion",
    choices: [
      {
        index: 0,
        message: { role: "assistant", content: text, refusal: null },
        logprobs: logprobs ? { content: logprobs.map(chatToken), refusal: null } : null,
        finish_reason: finishReason,
      },
    ],
  }),
  "/v1/completions": ({ text, finishReason, logprobs }) => ({
    object: "text_completion",
    choices: [{ index: 0, text, logprobs: logprobs ? completionTokens(logprobs) : null, finish_reason: finishReason }],
  }),
}

/** The format's stand-in for minus infinity. */
const finite = (logprob: number): number => (Number.isFinite(logprob) ? logprob : -9999)

/** No bytes for a token that is a part of a character. */
const spelled = (text: string, logprob: number) => ({
  token: text,
  logprob: finite(logprob),
  bytes: text.includes("\ufffd") ? null : [...new TextEncoder().encode(text)],
})

const chatToken = ({ text, logprob, top }: TokenReport) => ({
  ...spelled(text, logprob),
  top_logprobs: top.map((one) => spelled(one.text, one.logprob)),
})

function completionTokens(tokens: readonly TokenReport[]) {
  let offset = 0
  const offsets = tokens.map(({ text }) => {
    offset += text.length
    return offset - text.length
  })
  return {
    tokens: tokens.map(({ text }) => text),
    token_logprobs: tokens.map(({ logprob }) => finite(logprob)),
    top_logprobs: tokens.map(({ top }) => Object.fromEntries(top.map(({ text, logprob }) => [text, finite(logprob)]))),
    text_offset: offsets,
  }
}

/** A request that was refused, or that the model failed on. */
export function refused(error: ForerunError, statusCode = 400): Answer {
  const type = statusCode < 500 ? "invalid_request_error" : "server_error"
  const param = error instanceof RequestError ? error.param : null
  const body = { error: { message: error.message, type, param, code: error.code } }
  return { statusCode, body, promptTokens: 0, computedTokens: 0, completionTokens: 0 }
}

/** @param job with the custom_id it makes the ids, which are the same however often a job is resumed */
export function resultLine(job: string, { customId, url }: JobRequest, { statusCode, body }: Answer): string {
  const id = createHash("sha256").update(`${job}\n${customId}`).digest("hex").slice(0, 24)
  const prefix = url === "/v1/chat/completions" ? "chatcmpl" : "cmpl"
  const named = statusCode === 200 ? { id: `${prefix}-${id}`, ...(body as object) } : body
  return JSON.stringify({
    id: `batch_req_${id}`,
    custom_id: customId,
    response: { status_code: statusCode, request_id: `req_${id}`, body: named },
    error: null,
  })
}

/** A line that holds no request has no response. */
export function badLineResult(job: string, { position, customId, error }: BadLine): string {
  const id = createHash("sha256").update(`${job}\nline ${position}`).digest("hex").slice(0, 24)
  return JSON.stringify({
    id: `batch_req_${id}`,
    custom_id: customId ?? null,
    response: null,
    error: { code: error.code, message: error.message },
  })
}
