/** Failures as clients of OpenAI's API know them: a status, and `{error: {message, type, param, code}}`. */
import { asForerunError, type ErrorCode } from "../base/errors.ts"
import { RequestError } from "../jobs/request-options.ts"
import { statusOf } from "../jobs/status.ts"

export interface ApiErrorOptions {
  readonly param?: string | undefined
  readonly code?: string
  readonly headers?: Readonly<Record<string, string>>
}

/** A request that is answered with an error. */
export class ApiError extends Error {
  override readonly name = "ApiError"
  readonly status: number
  readonly param: string | undefined
  readonly code: string | undefined
  readonly headers: Readonly<Record<string, string>>

  constructor(status: number, message: string, { param, code, headers = {} }: ApiErrorOptions = {}) {
    super(message)
    this.status = status
    this.param = param
    this.code = code
    this.headers = headers
  }

  /** The body. JSON's null stands where the format has it. */
  toJSON() {
    const { message, param = null, code = null } = this
    return { error: { message, type: typeOf(this.status), param, code } }
  }
}

const types: Readonly<Record<number, string>> = {
  401: "authentication_error",
  403: "permission_error",
  404: "not_found_error",
  429: "rate_limit_error",
  503: "unavailable_error",
}
const typeOf = (status: number): string => types[status] ?? (status < 500 ? "invalid_request_error" : "server_error")

/** Codes that clients look for. */
const known: Partial<Record<ErrorCode, string>> = { E_CONTEXT_LENGTH: "context_length_exceeded" }
/** The engine is not there, or not any more: another try may find it back. */
const isPassing = new Set<ErrorCode>(["E_DISPOSED", "E_ENGINE_LOST", "E_ABORTED", "E_LOCKED"])

/** @param prompt the part of the body that failures of the prompt are blamed on */
export function apiError(thrown: unknown, prompt?: string): ApiError {
  if (thrown instanceof ApiError) return thrown
  const error = asForerunError(thrown)
  const { code } = error
  if (isPassing.has(code)) return new ApiError(503, error.message, { code, headers: { "retry-after": "1" } })
  const status = statusOf[code] ?? 500
  // What a failure of ours says may hold paths and texts of others.
  const message = status === 500 ? "the model failed on this request" : error.message
  const blamed =
    code === "E_GRAMMAR"
      ? "response_format"
      : ["E_CONTEXT_LENGTH", "E_INPUT", "E_TEMPLATE", "E_TOKENIZER"].includes(code)
        ? prompt
        : undefined
  const param = thrown instanceof RequestError ? thrown.param : blamed
  return new ApiError(status, message, { param, code: known[code] ?? code })
}

/** Failures that come again however often a client tries say so: openai's clients try 5xx and 429 twice more. */
export function errorResponse(error: ApiError): Response {
  const again = error.status === 429 || error.status === 503
  const headers = { ...(again ? {} : { "x-should-retry": "false" }), ...error.headers }
  return Response.json(error.toJSON(), { status: error.status, headers })
}
