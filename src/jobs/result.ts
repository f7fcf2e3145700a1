/** Answers as OpenAI writes them, and the line of a job's output. JSON's null stands where that format has it. */
import { createHash } from "node:crypto"
import type { ForerunError } from "../base/errors.ts"
import type { GenerateResult, TokenReport } from "../generate/types.ts"
import type { BadLine, JobRequest, RequestUrl } from "./request.ts"
import { RequestError } from "./request-options.ts"
import { usageOf } from "./usage.ts"

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

/** @param answers to one prompt, which was read once and, for each answer but the first, its last token again */
export function completed(
  { url }: Pick<JobRequest, "url">,
  answers: readonly GenerateResult[],
  { model, cachedTokens }: AnsweredBy,
): Answer {
  const { promptTokens } = answers[0]!
  const usage = usageOf(answers, { promptTokens, cachedTokens })
  const created = Math.floor(Date.now() / 1000)
  const { object, choice } = shapes[url]
  const choices = answers.map((answer, index) => ({ index, ...choice(answer), finish_reason: answer.finishReason }))
  return {
    statusCode: 200,
    body: { object, choices, created, model, usage },
    promptTokens,
    computedTokens: promptTokens - cachedTokens + answers.length - 1,
    completionTokens: usage.completion_tokens,
  }
}

interface Shape {
  readonly object: string
  choice(answer: GenerateResult): object
}

const shapes: Readonly<Record<RequestUrl, Shape>> = {
  "/v1/chat/completions": {
    object: "chat.completion",
    choice: ({ text, logprobs }) => ({
      message: { role: "assistant", content: text, refusal: null },
      logprobs: logprobs ? chatTokens(logprobs) : null,
    }),
  },
  "/v1/completions": {
    object: "text_completion",
    choice: ({ text, logprobs }) => ({ text, logprobs: logprobs ? completionTokens(logprobs) : null }),
  },
}

/** The format's stand-in for minus infinity. */
const finite = (logprob: number): number => (Number.isFinite(logprob) ? logprob : -9999)

const spelled = ({ text, logprob, bytes }: Pick<TokenReport, "text" | "logprob" | "bytes">) => ({
  token: text,
  logprob: finite(logprob),
  bytes,
})

const chatToken = (token: TokenReport) => ({ ...spelled(token), top_logprobs: token.top.map(spelled) })

export const chatTokens = (tokens: readonly TokenReport[]) => ({ content: tokens.map(chatToken), refusal: null })

/** @param offset characters in front of the first */
export function completionTokens(tokens: readonly TokenReport[], offset = 0) {
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
