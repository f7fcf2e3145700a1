/** The HTTP status of a failure. */
import type { ErrorCode } from "../base/errors.ts"

/** Failures that are one request's own; others concern whoever answers. */
export const statusOf: Readonly<Partial<Record<ErrorCode, number>>> = {
  E_INPUT: 400,
  E_OPTION: 400,
  E_CONTEXT_LENGTH: 400,
  E_TEMPLATE: 400,
  E_TOKENIZER: 400,
  E_GRAMMAR: 400,
  E_METHOD_NOT_FOUND: 400,
  E_ABILITY: 400,
  E_DRAFT: 400,
  E_RUNTIME: 500,
}
