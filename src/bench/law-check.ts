/** Whether a method's samples follow the law of plain decoding, token by token. */

import type { Law } from "../decoding/law.ts"
import { createSampler } from "../decoding/sampler.ts"
import { type SamplingOptions, validateSampling } from "../decoding/sampling-options.ts"
import { createTokenHistory } from "../decoding/token-history.ts"
import type { Model } from "../generate/model.ts"
import type { GenerateOptions } from "../generate/types.ts"
import { createRandom } from "../tensor/random.ts"
import { uniformPValue } from "./chi-square.ts"

export interface LawCheck {
  readonly prompts: readonly Int32Array[]
  /** Method, its options, temperature and the rest; seed and maxTokens are set here. */
  readonly generate: GenerateOptions & SamplingOptions
  readonly samples: number
  /** Of each sample. */
  readonly tokens: number
  readonly signal?: AbortSignal | undefined
  readonly onSample?: (done: number) => void
}

export interface LawResult {
  readonly pValue: number
  readonly samples: number
  readonly tokens: number
}

/**
 * Given what came before it, each sampled token is turned into a number that is uniform if it was drawn from the law
 * (Rosenblatt 1952, randomised for discrete laws), tokens ordered from the likeliest down: too cold or too hot a law
 * crowds one end. A chi-square over 20 bins judges all of them together.
 */
export async function checkLaw(model: Model, check: LawCheck): Promise<LawResult> {
  const { prompts, generate, samples, tokens: maxTokens, signal } = check
  const { vocabulary } = model.info.config
  const sampler = createSampler(validateSampling(generate, vocabulary))
  const random = createRandom(0).fork("law check")
  const uniform: number[] = []
  for (let seed = 0; seed < samples; seed++) {
    const prompt = prompts[seed % prompts.length]!
    const asked = { ...generate, seed, maxTokens, ...(signal ? { signal } : {}) }
    const { tokens } = await model.generate({ tokens: prompt }, asked)
    signal?.throwIfAborted()
    // One pass over prompt and sample gives every token's law, by plain decoding's own rows.
    const rows = tokens.map((_, i) => prompt.length - 1 + i)
    const input = Int32Array.from([...prompt, ...tokens.slice(0, -1)])
    const { logits } = await model.forward({ input: { tokens: input }, want: { logits: rows } })
    const history = createTokenHistory(prompt)
    for (const [i, id] of tokens.entries()) {
      const law = sampler.law(logits!.data.subarray(i * vocabulary, (i + 1) * vocabulary), history)
      uniform.push(placeOf(law, id, random.next()))
      history.push(id)
    }
    check.onSample?.(seed + 1)
  }
  return { pValue: uniformPValue(uniform), samples, tokens: uniform.length }
}

/** Mass of the likelier tokens, and a random part of the token's own; 1 for a token the law does not allow. */
export function placeOf(law: Law, id: number, part: number): number {
  const own = law.prob(id)
  if (own === 0) return 1
  let above = 0
  for (const [i, prob] of law.probs.entries()) if (prob > own || (prob === own && law.ids[i]! < id)) above += prob
  return above + part * own
}
