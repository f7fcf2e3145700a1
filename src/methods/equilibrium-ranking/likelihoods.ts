/** Asks the model for the 2n + n likelihoods of a game; prompts that agree in their beginning are read once. */
import { type ScoreRequest, scoreSequences } from "../../decoding/score.ts"
import type { ModelRunner } from "../../runtime/pass.ts"
import type { Tokenizer } from "../../text/tokenizer.ts"
import { correct, incorrect, type LogLikelihoods } from "./game.ts"
import type { RankTexts } from "./prompts.ts"

export interface LikelihoodOptions {
  /** tokens: the mean log-probability of a candidate's tokens in place of their sum. */
  readonly lengthNorm: "none" | "tokens"
  readonly signal: AbortSignal
}

export interface Likelihoods extends LogLikelihoods {
  /** Tokens of each candidate, as it follows the generator's prompt. */
  readonly candidateTokens: readonly number[]
  /** Tokens of the two judgements: a bias in favour of the shorter one where they differ. */
  readonly judgementTokens: readonly [number, number]
}

/** @throws E_INPUT, E_CONTEXT_LENGTH, E_ABORTED */
export async function askLikelihoods(
  runner: ModelRunner,
  tokenizer: Tokenizer,
  texts: RankTexts,
  { lengthNorm, signal }: LikelihoodOptions,
): Promise<Likelihoods> {
  const request = (before: string, text: string) => scoreRequest(tokenizer, before, text)
  const claims = [correct, incorrect] as const
  const answers = claims.map((v) => texts.candidates.map((candidate) => request(texts.generator[v], candidate)))
  const judgements = texts.discriminator.map((before) => claims.map((v) => request(before, texts.judgements[v])))
  const scores = await scoreSequences(runner, [...answers.flat(), ...judgements.flat()], signal)
  const next = scores.values()
  const total = (): number => next.next().value!.reduce((sum, logprob) => sum + logprob, 0)
  const length = ({ tokens, from }: ScoreRequest) => tokens.length - from
  const generator = answers.map((row) => row.map((one) => total() / (lengthNorm === "tokens" ? length(one) : 1)))
  return {
    generator,
    discriminator: judgements.map((row) => row.map(total)),
    candidateTokens: answers[correct]!.map(length),
    judgementTokens: [length(judgements[0]![correct]!), length(judgements[0]![incorrect]!)],
  }
}

/**
 * Tokens of the whole text; scored are those of `text`, and any before it that its first letters changed. The whole
 * is encoded at once, since a text's tokens are not always its parts' tokens in a row.
 */
export function scoreRequest(tokenizer: Tokenizer, before: string, text: string): ScoreRequest {
  const bos = tokenizer.addsBos
  const tokens = tokenizer.encode(before + text, { bos })
  const alone = tokenizer.encode(before, { bos })
  let from = 0
  while (from < alone.length && from < tokens.length - 1 && alone[from] === tokens[from]) from++
  return { tokens, from: Math.max(from, 1) }
}
