/** Log-probabilities as OpenAI reports them: of the model's own law, before anything sampling does to it. */

import { ForerunError } from "../base/errors.ts"
import { extremes, logSumExp, topK } from "../tensor/math.ts"
import type { Token } from "./step.ts"

export interface TokenLogprob {
  readonly token: number
  /** Natural logarithm; -Infinity for a token the model itself bans (JSON has no such number: map it on the way out). */
  readonly logprob: number
}

export interface TokenLogprobs extends TokenLogprob {
  /** The likeliest tokens, descending, ties by lowest id; the chosen one is not added if it is not among them. */
  readonly top: readonly TokenLogprob[]
}

/**
 * @param logits raw logits of the position that predicted `token` [vocabulary]
 * @param top how many alternatives to report, 0 to the vocabulary
 * @throws E_OPTION if `top` is out of range, E_INPUT if `token` is, E_RUNTIME if the logits define no distribution
 */
export function tokenLogprobs(logits: Float32Array, token: number, top: number): TokenLogprobs {
  if (!Number.isInteger(top) || top < 0 || top > logits.length) {
    throw new ForerunError("E_OPTION", `top logprobs must be an integer from 0 to ${logits.length}; found ${top}`)
  }
  if (!Number.isInteger(token) || token < 0 || token >= logits.length) {
    throw new ForerunError("E_INPUT", `a token id is an integer from 0 to ${logits.length - 1}; found ${token}`)
  }
  const row = new Float64Array(logits)
  extremes(row) // for its checks
  const normaliser = logSumExp(row)
  const { ids, values } = topK(row, top)
  return {
    token,
    logprob: logits[token]! - normaliser,
    top: Array.from(ids, (id, i) => ({ token: id, logprob: values[i]! - normaliser })),
  }
}

/** The token as steps report it: with log-probabilities when `top` says that they are wanted. */
export function describeToken(id: number, logits: Float32Array, top: number | undefined): Token {
  if (top === undefined) return { id }
  const { logprob, top: likeliest } = tokenLogprobs(logits, id, top)
  return { id, logprob, top: likeliest }
}
