/** What happens to logits between the model and the draw: scores are shifted, then the unlikely are filtered out. */

import { expNegative, extremes, sortDescending, topK } from "../tensor/math.ts"
import type { ResolvedSampling } from "./sampling-options.ts"
import type { TokenHistory } from "./token-history.ts"

/** Changes scores in place; -Infinity bans a token. `scores` [vocabulary], logits in float64 */
export type ScoreProcessor = (scores: Float64Array, history: TokenHistory) => void

/** The processors these options ask for, in order: bias, then penalties. Empty if nothing is to be done. */
export function scoreProcessors(sampling: ResolvedSampling): ScoreProcessor[] {
  const processors: ScoreProcessor[] = []
  const { logitBias, repetitionPenalty, presencePenalty, frequencyPenalty } = sampling
  if (logitBias.size > 0) {
    processors.push((scores) => {
      for (const [id, bias] of logitBias) scores[id]! += bias
    })
  }
  if (repetitionPenalty !== 1) {
    processors.push((scores, history) => penaliseRepetition(scores, history, repetitionPenalty))
  }
  if (presencePenalty !== 0 || frequencyPenalty !== 0) {
    processors.push((scores, { outputCounts }) => {
      for (const [id, count] of outputCounts) {
        if (id < scores.length) scores[id]! -= presencePenalty + frequencyPenalty * count
      }
    })
  }
  return processors
}

/** Once per distinct token of prompt and output, however often it occurs (as in transformers). */
function penaliseRepetition(scores: Float64Array, history: TokenHistory, penalty: number): void {
  const { promptTokens, outputCounts } = history
  const penalise = (id: number) => {
    // A history may hold ids that have no logit (image placeholders): they cannot be drawn, so nothing to do.
    if (id >= scores.length) return
    const score = scores[id]!
    // Dividing a negative score would raise it: the penalty would reward.
    scores[id] = score < 0 ? score * penalty : score / penalty
  }
  for (const id of promptTokens) penalise(id)
  for (const id of outputCounts.keys()) if (!promptTokens.has(id)) penalise(id)
}

/** Kept tokens in ascending order and their weights, proportional to probability. Views of scratch space. */
export interface Kept {
  readonly ids: Int32Array
  readonly weights: Float64Array
}

/** Working space of one sampler, so that a row of logits costs no allocation of its own size. */
export interface Scratch {
  readonly ids: Int32Array // [vocabulary]
  readonly weights: Float64Array // [vocabulary]
  readonly buckets: Uint16Array // [vocabulary]
  readonly bucketMass: Float64Array // [NUM_BUCKETS]
}

export function createScratch(vocabulary: number): Scratch {
  return {
    ids: new Int32Array(vocabulary),
    weights: new Float64Array(vocabulary),
    buckets: new Uint16Array(vocabulary),
    bucketMass: new Float64Array(NUM_BUCKETS),
  }
}

/**
 * Temperature (> 0), then top-k, top-p of what that leaves, min-p. Weights are exp((score - max) / temperature), so
 * the likeliest token weighs 1 and min-p's threshold is `minP` itself. "Likelier" is: higher score, then lower id.
 * @throws E_RUNTIME if scores hold NaN or +Infinity, or ban every token
 */
export function filterScores(scores: Float64Array, sampling: ResolvedSampling, scratch: Scratch): Kept {
  return sampling.topK > 0 ? filterTop(scores, sampling) : filterAll(scores, sampling, scratch)
}

/** With top-k: the k likeliest come sorted, so every further filter is a shorter prefix of them. */
function filterTop(scores: Float64Array, { topK: k, temperature, topP, minP }: ResolvedSampling): Kept {
  const { max } = extremes(scores)
  const top = topK(scores, k)
  const weights = top.values.map((score) => expNegative((score - max) / temperature))
  let total = 0
  for (const weight of weights) total += weight
  let kept = 0
  let mass = 0
  do mass += weights[kept++]!
  while (kept < weights.length && (topP === 1 || mass < topP * total) && weights[kept]! >= minP)
  const order = Int32Array.from({ length: kept }, (_, i) => i).sort((a, b) => top.ids[a]! - top.ids[b]!)
  return { ids: order.map((i) => top.ids[i]!), weights: Float64Array.from(order, (i) => weights[i]!) }
}

/** Without top-k: the vocabulary is never sorted; top-p marks what is to leave, and one sweep gathers the rest. */
function filterAll(scores: Float64Array, { temperature, topP, minP }: ResolvedSampling, scratch: Scratch): Kept {
  const { max, min } = extremes(scores)
  const { ids, weights } = scratch
  if (topP < 1) {
    const nats = Math.min(MAX_NATS, (max - min) / temperature)
    const total = fillBuckets(scores, { max, temperature, nats }, scratch)
    dropTail(scores, topP * total, scratch)
  } else {
    for (let id = 0; id < scores.length; id++) weights[id] = expNegative((scores[id]! - max) / temperature)
  }
  let kept = 0
  for (let id = 0; id < weights.length; id++) {
    const weight = weights[id]!
    if (weight === 0 || weight < minP) continue
    ids[kept] = id
    weights[kept++] = weight // in place: what is written is never ahead of what is read
  }
  return { ids: ids.subarray(0, kept), weights: weights.subarray(0, kept) }
}

const NUM_BUCKETS = 2048
const MAX_NATS = 32 // what lies further below the likeliest token weighs less than 1e-13 and shares the last bucket

/** Weights of all tokens, and their mass by distance from the likeliest, up to `nats` below it. Returns the total. */
function fillBuckets(
  scores: Float64Array,
  { max, temperature, nats }: { max: number; temperature: number; nats: number },
  { weights, buckets, bucketMass }: Scratch,
): number {
  const scale = nats > 0 ? (NUM_BUCKETS - 1) / nats : 0
  bucketMass.fill(0)
  let total = 0
  for (let id = 0; id < scores.length; id++) {
    const exponent = (scores[id]! - max) / temperature
    const weight = expNegative(exponent)
    const bucket = exponent < -nats ? NUM_BUCKETS - 1 : (exponent * -scale) | 0
    bucketMass[bucket]! += weight
    buckets[id] = bucket
    weights[id] = weight
    total += weight
  }
  return total
}

/**
 * Sets to 0 the weights outside the smallest set of likeliest tokens whose mass is at least `wanted`. Less likely
 * tokens never have a lower bucket, so only the bucket in which the mass is reached needs sorting.
 */
function dropTail(scores: Float64Array, wanted: number, { ids, weights, buckets, bucketMass }: Scratch): void {
  let mass = 0
  let edge = 0
  while (edge < NUM_BUCKETS && mass + bucketMass[edge]! < wanted) mass += bucketMass[edge++]!
  let size = 0
  for (let id = 0; id < buckets.length; id++) {
    const bucket = buckets[id]!
    if (bucket > edge) weights[id] = 0
    else if (bucket === edge) ids[size++] = id
  }
  for (const id of sortDescending(ids.subarray(0, size), scores)) {
    const isNeeded = mass < wanted || mass === 0 // one stays even if nothing is wanted
    mass += weights[id]!
    if (!isNeeded) weights[id] = 0
  }
}
