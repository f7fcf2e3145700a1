/** A law: the full distribution of the next token after all processing, and how a uniform number picks from it. */

import { ForerunError } from "../base/errors.ts"

export interface Law {
  /** Tokens with positive probability, ascending. [support] */
  readonly ids: Int32Array
  /** Their probabilities, all > 0, summing to 1 (float64 rounding aside). [support] */
  readonly probs: Float64Array
  /** Probability of any token: 0 outside the support. O(log support). */
  prob(id: number): number
}

/**
 * The law proportional to `weights`: zeros leave the support, the rest is normalised. Copies both arrays, so callers
 * may pass views of scratch space, or build laws of their own (a residual, a mixture).
 * @param ids strictly ascending token ids [n]
 * @param weights finite and not negative, with a positive sum [n]
 * @throws E_RUNTIME if the weights define no distribution
 */
export function createLaw(ids: Int32Array, weights: Float64Array): Law {
  let sum = 0
  for (let i = 0; i < weights.length; i++) {
    const weight = weights[i]!
    if (!(weight >= 0)) throw new ForerunError("E_RUNTIME", `a law's weights are at least 0; found ${weight}`)
    sum += weight
  }
  if (!(sum > 0 && sum < Infinity) || ids.length !== weights.length) {
    const found = `${ids.length} ids, ${weights.length} weights with sum ${sum}`
    throw new ForerunError("E_RUNTIME", `a law needs a weight for each id and a positive finite sum; found ${found}`)
  }
  const keptIds = new Int32Array(ids.length)
  const probs = new Float64Array(ids.length)
  let kept = 0
  for (let i = 0; i < weights.length; i++) {
    const prob = weights[i]! / sum // may underflow to 0, so this and not the weight decides
    if (prob === 0) continue
    keptIds[kept] = ids[i]!
    probs[kept++] = prob
  }
  return lawOf(keptIds.subarray(0, kept), probs.subarray(0, kept))
}

/** The law that always gives this token. */
export function pointLaw(id: number): Law {
  return lawOf(Int32Array.of(id), Float64Array.of(1))
}

/**
 * Inverse of the cumulative distribution in id order: the same uniform number always gives the same token, and
 * a token without probability is never returned, however close to 1 the number is.
 * @param uniform in [0, 1)
 */
export function drawFrom(law: Law, uniform: number): number {
  const { ids, probs } = law
  let cumulative = 0
  for (let i = 0; i < probs.length; i++) {
    cumulative += probs[i]!
    if (uniform < cumulative) return ids[i]!
  }
  return ids[ids.length - 1]! // rounding left the sum just below 1
}

/** The lowest id of those with the highest probability. */
export function mostLikely({ ids, probs }: Law): number {
  let best = 0
  for (let i = 1; i < probs.length; i++) if (probs[i]! > probs[best]!) best = i
  return ids[best]!
}

function lawOf(ids: Int32Array, probs: Float64Array): Law {
  return {
    ids,
    probs,
    prob(id) {
      let low = 0
      let high = ids.length
      while (low < high) {
        const middle = (low + high) >> 1
        if (ids[middle]! < id) low = middle + 1
        else high = middle
      }
      return ids[low] === id ? probs[low]! : 0
    },
  }
}
