/** Log-likelihood of given text, in one window. */
import { type TokenLogprob, tokenLogprobs } from "../decoding/logprobs.ts"
import { scoreSequences } from "../decoding/score.ts"
import type { ModelRunner } from "../runtime/pass.ts"
import type { Score } from "./types.ts"

export interface ScoreOptions {
  readonly signal: AbortSignal
  /** Likeliest alternatives to report at each place. */
  readonly top?: number
}

/** Each token given all before it; the first has none. @throws E_INPUT, E_CONTEXT_LENGTH, E_ABORTED */
export async function scoreTokens(runner: ModelRunner, tokens: Int32Array, options: ScoreOptions): Promise<Score> {
  const { signal, top: wanted } = options
  const top: (readonly TokenLogprob[])[] = []
  const look =
    wanted === undefined ? {} : { look: (logits: Float32Array) => void top.push(tokenLogprobs(logits, 0, wanted).top) }
  const [logprobs] = await scoreSequences(runner, [{ tokens, from: 1, ...look }], signal)
  const meanNll = -logprobs!.reduce((sum, logprob) => sum + logprob, 0) / logprobs!.length
  const score = { tokens: tokens.length, logprobs: logprobs!, meanNll, perplexity: Math.exp(meanNll) }
  return wanted === undefined ? score : { ...score, top }
}
