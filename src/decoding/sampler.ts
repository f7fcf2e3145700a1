/** One pipeline for every row of logits, draft, verify and bonus alike: it gives the law and draws from it. */

import { ForerunError } from "../base/errors.ts"
import { extremes, likeliest } from "../tensor/math.ts"
import type { Random } from "../tensor/random.ts"
import { createLaw, drawFrom, type Law, pointLaw } from "./law.ts"
import { createScratch, filterScores, type ScoreProcessor, scoreProcessors } from "./processors.ts"
import type { ResolvedSampling } from "./sampling-options.ts"
import type { TokenHistory } from "./token-history.ts"

/**
 * All three take a row of raw logits [vocabulary], which is not changed, and the tokens before the position it
 * predicts.
 * @throws E_INPUT if the row has another length
 * @throws E_RUNTIME if scores hold NaN or +Infinity, or ban every token
 */
export interface Sampler {
  /** Temperature 0: every law is a point mass. */
  readonly greedy: boolean
  /** The distribution `pick` draws from. Independent of the sampler's later use. */
  law(logits: Float32Array, history: TokenHistory): Law
  /** Takes exactly one number from the stream. */
  draw(law: Law, random: Random): number
  /** The token that `draw(law(…))` would give, without building the law if greedy (then takes no random number). */
  pick(logits: Float32Array, history: TokenHistory, random: Random): number
}

/**
 * Bias → penalties → `extra` → temperature → top-k → top-p → min-p → normalise, all in float64.
 * @param extra further processors of the scores (a grammar's mask), after bias and penalties
 */
export function createSampler(sampling: ResolvedSampling, extra: readonly ScoreProcessor[] = []): Sampler {
  const { vocabulary, temperature } = sampling
  const processors = [...scoreProcessors(sampling), ...extra]
  const scores = new Float64Array(vocabulary)
  const scratch = createScratch(vocabulary)
  const greedy = temperature === 0

  function process(logits: Float32Array, history: TokenHistory): Float64Array {
    scores.set(logits) // always float64 from here: V8 runs the loops behind on one element type, twice as fast
    for (const apply of processors) apply(scores, history)
    return scores
  }
  function greedyToken(logits: Float32Array, history: TokenHistory): number {
    // Every float32 is a float64: where nothing changes the scores, the largest is the same without the copy.
    return processors.length === 0 ? likeliest(logits) : extremes(process(logits, history)).argmax
  }
  function checkWidth(logits: Float32Array): void {
    if (logits.length === vocabulary) return
    throw new ForerunError("E_INPUT", `the sampler needs ${vocabulary} logits; found ${logits.length}`)
  }

  const sampler: Sampler = {
    greedy,
    law(logits, history) {
      checkWidth(logits)
      if (greedy) return pointLaw(greedyToken(logits, history))
      const kept = filterScores(process(logits, history), sampling, scratch)
      return createLaw(kept.ids, kept.weights)
    },
    draw: (law, random) => drawFrom(law, random.next()),
    pick(logits, history, random) {
      checkWidth(logits)
      return greedy ? greedyToken(logits, history) : sampler.draw(sampler.law(logits, history), random)
    },
  }
  return sampler
}
