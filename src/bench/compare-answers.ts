/** Two greedy answers to one prompt, token by token and bit by bit. */
import type { TokenLogprob } from "../decoding/logprobs.ts"
import type { GenerateResult, TokenReport } from "../generate/types.ts"

export interface AnswerComparison {
  /** Tokens both committed before they part, or all. */
  readonly tokens: number
  /** Where they part: index of the token in the answer, and the reference's logit of its token less that of the next best. */
  readonly difference?: { readonly position: number; readonly margin: number }
  /** Largest difference between log-probabilities of the same position, the parting one included; 0 = the same bits. */
  readonly maxDifference: number
}

/**
 * Both with log-probabilities. Each is a logit less the logarithm of the sum over the whole vocabulary, so a change in
 * any likely token's logit shows in all of them.
 */
export function compareAnswers(plain: GenerateResult, other: GenerateResult): AnswerComparison {
  const [mine, theirs] = [plain.tokens, other.tokens]
  const longest = Math.max(mine.length, theirs.length)
  let tokens = 0
  while (tokens < longest && mine[tokens] === theirs[tokens]) tokens++
  let maxDifference = 0
  for (let at = 0; at <= tokens; at++) {
    const [left, right] = [plain.logprobs?.[at], other.logprobs?.[at]]
    if (left && right) maxDifference = Math.max(maxDifference, ofReports(left, right, at < tokens))
  }
  if (tokens === longest) return { tokens, maxDifference }
  return { tokens, difference: { position: tokens, margin: marginOf(plain.logprobs?.[tokens]) }, maxDifference }
}

/** The chosen token's own is compared only where both chose the same. */
function ofReports(left: TokenReport, right: TokenReport, same: boolean): number {
  const first = same ? apart(left.logprob, right.logprob) : 0
  const others = new Map(right.top.map(({ token, logprob }) => [token, logprob]))
  return left.top.reduce((most, { token, logprob }) => {
    const found = others.get(token)
    // Not among the other's likeliest: there it is no likelier than the last of them.
    return Math.max(most, apart(logprob, found ?? lowest(right.top)))
  }, first)
}

const lowest = (top: readonly TokenLogprob[]) => top.at(-1)?.logprob ?? Number.NEGATIVE_INFINITY
const apart = (a: number, b: number) => (Object.is(a, b) ? 0 : Math.abs(a - b))

function marginOf(report: TokenReport | undefined): number {
  const [best, next] = report?.top ?? []
  return best && next ? best.logprob - next.logprob : Number.NaN
}
