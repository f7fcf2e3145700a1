/** Log-likelihood of given text, in one window. */
import { ForerunError } from "../base/errors.ts"
import { blockSize } from "../models/builder.ts"
import type { ModelRunner } from "../runtime/pass.ts"
import { logSumExp } from "../tensor/math.ts"
import type { Score } from "./types.ts"

/** Each token given all before it; the first has none. @throws E_INPUT, E_CONTEXT_LENGTH, E_ABORTED */
export async function scoreTokens(runner: ModelRunner, tokens: Int32Array, signal: AbortSignal): Promise<Score> {
  const { context, vocabulary } = runner.config
  if (tokens.length < 2) throw new ForerunError("E_INPUT", `scoring needs at least 2 tokens, found ${tokens.length}`)
  if (tokens.length > context)
    throw new ForerunError("E_CONTEXT_LENGTH", `${tokens.length} tokens do not fit the context of ${context}`)
  const cache = runner.openCache()
  const logprobs: number[] = []
  try {
    for (let start = 0; start < tokens.length - 1; start += blockSize) {
      if (signal.aborted) throw new ForerunError("E_ABORTED", "scoring was aborted")
      const end = Math.min(tokens.length - 1, start + blockSize)
      const pass = await runner.forward({
        input: { tokens: tokens.subarray(start, end) },
        cache,
        want: { logits: "all" },
      })
      pass.keep(Array.from({ length: end - start }, (_, row) => row))
      for (let row = 0; row < end - start; row++) {
        const logits = pass.logits!.data.subarray(row * vocabulary, (row + 1) * vocabulary)
        logprobs.push(logits[tokens[start + row + 1]!]! - logSumExp(logits))
      }
    }
  } finally {
    cache.dispose()
  }
  const meanNll = -logprobs.reduce((sum, logprob) => sum + logprob, 0) / logprobs.length
  return { tokens: tokens.length, logprobs, meanNll, perplexity: Math.exp(meanNll) }
}
