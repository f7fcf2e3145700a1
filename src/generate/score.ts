/** Log-likelihood of given text, in one window. */
import { scoreSequences } from "../decoding/score.ts"
import type { ModelRunner } from "../runtime/pass.ts"
import type { Score } from "./types.ts"

/** Each token given all before it; the first has none. @throws E_INPUT, E_CONTEXT_LENGTH, E_ABORTED */
export async function scoreTokens(runner: ModelRunner, tokens: Int32Array, signal: AbortSignal): Promise<Score> {
  const [logprobs] = await scoreSequences(runner, [{ tokens, from: 1 }], signal)
  const meanNll = -logprobs!.reduce((sum, logprob) => sum + logprob, 0) / logprobs!.length
  return { tokens: tokens.length, logprobs: logprobs!, meanNll, perplexity: Math.exp(meanNll) }
}
