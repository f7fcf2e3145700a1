/** Phase 1 in numbers: how sure a model is of what follows a forced token. Pure, float64. */
import { argmax, logSumExp } from "../../tensor/math.ts"

export interface ScoreRule {
  /** Scores must be above it, not at it. */
  readonly threshold: number
  /** Whether the forced token counts, with probability 1: with 0.95 and three steps the mean of the three is then held to 0.9333. */
  readonly includeForced: boolean
}

/** Mean of the probabilities of the tokens that greedy decoding chose, in order. */
export function forcingScore(probs: readonly number[], { includeForced }: Pick<ScoreRule, "includeForced">): number {
  const counted = includeForced ? [1, ...probs] : probs
  return counted.reduce((sum, prob) => sum + prob, 0) / counted.length
}

export const isKept = (score: number, { threshold }: Pick<ScoreRule, "threshold">): boolean => score > threshold

/** The likeliest token of a row of logits, the lowest id on a tie, and its probability. */
export function greedyToken(logits: Float32Array): { id: number; prob: number } {
  const id = argmax(logits)
  return { id, prob: Math.exp(logits[id]! - logSumExp(logits)) }
}
