/** Which tokens a sequence has seen, as penalties need it: pushed and popped, so that drafts can be tried on. */

import { ForerunError } from "../base/errors.ts"

/**
 * The prompt's tokens and the output's so far. To see a law "as if these draft tokens were appended", push them,
 * ask, and rewind; along a tree, push on the way down and pop on the way up. Each costs O(1).
 */
export interface TokenHistory {
  /** Distinct tokens of the prompt. */
  readonly promptTokens: ReadonlySet<number>
  /** Distinct tokens of the output, with how often each occurs (always at least 1). */
  readonly outputCounts: ReadonlyMap<number, number>
  /** The output, drafts that were pushed included: live, not to be kept. */
  readonly output: readonly number[]
  /** Output tokens, drafts that were pushed included. */
  readonly length: number
  /** Appends an output token. @throws E_INPUT if it is not a token id */
  push(token: number): void
  /** Takes back the last output token and returns it. @throws E_INPUT if there is none */
  pop(): number
  /** Takes back output tokens until `length` are left. @throws E_INPUT if fewer are there */
  rewind(length: number): void
  /** A copy that goes its own way (one per branch); costs O(output). The prompt's set is shared. */
  fork(): TokenHistory
}

export function createTokenHistory(prompt: ArrayLike<number> = [], output: ArrayLike<number> = []): TokenHistory {
  const promptTokens = new Set<number>()
  for (let i = 0; i < prompt.length; i++) promptTokens.add(checkToken(prompt[i]))
  return historyOver(promptTokens, output)
}

function historyOver(promptTokens: ReadonlySet<number>, output: ArrayLike<number>): TokenHistory {
  const tokens: number[] = []
  const counts = new Map<number, number>()
  const history: TokenHistory = {
    promptTokens,
    outputCounts: counts,
    output: tokens,
    get length() {
      return tokens.length
    },
    push(token) {
      tokens.push(checkToken(token))
      counts.set(token, (counts.get(token) ?? 0) + 1)
    },
    pop() {
      const token = tokens.pop()
      if (token === undefined) throw new ForerunError("E_INPUT", "pop needs an output token; the output is empty")
      const count = counts.get(token)!
      if (count === 1) counts.delete(token)
      else counts.set(token, count - 1)
      return token
    },
    rewind(length) {
      if (!Number.isInteger(length) || length < 0 || length > tokens.length) {
        throw new ForerunError("E_INPUT", `rewind needs a length from 0 to ${tokens.length}; found ${length}`)
      }
      while (tokens.length > length) history.pop()
    },
    fork: () => historyOver(promptTokens, tokens),
  }
  for (let i = 0; i < output.length; i++) history.push(output[i]!)
  return history
}

function checkToken(token: number | undefined): number {
  if (token !== undefined && Number.isSafeInteger(token) && token >= 0) return token
  throw new ForerunError("E_INPUT", `a token id is an integer of at least 0; found ${token}`)
}
