/** The seven rankings of one question's candidates, from likelihoods and policies. Pure. */
import { correct, type Equilibrium, incorrect, type LogLikelihoods, softmax } from "./game.ts"

export const rankingNames = ["G", "MI", "SC", "D", "PoE", "ER-G", "ER-D"] as const
export type RankingName = (typeof rankingNames)[number]
export type Rankings = Readonly<Record<RankingName, readonly number[]>>

/**
 * A score for each candidate; all but D and ER-D sum to 1 over the candidates.
 * G: likelihood; MI: likelihood times P(correct); SC and D: the initial policies; PoE: their product; ER: the final ones.
 */
export function rankings({ generator, discriminator }: LogLikelihoods, game: Equilibrium): Rankings {
  const { initial, final } = game
  const likelihood = generator[correct]!
  const isCorrect = discriminator.map((row) => row[correct]! - logOf(row))
  const initialD = initial.discriminator.map((row) => row[correct]!)
  return {
    G: softmax(likelihood),
    MI: softmax(likelihood.map((log, y) => log + isCorrect[y]!)),
    SC: [...initial.generator[correct]!],
    D: initialD,
    PoE: normalised(initial.generator[correct]!.map((p, y) => p * initialD[y]!)),
    "ER-G": [...final.generator[correct]!],
    "ER-D": final.discriminator.map((row) => row[correct]!),
  }
}

/** Index of the best, the lowest on a tie. */
export function winnerOf(scores: readonly number[]): number {
  let best = 0
  for (const [y, score] of scores.entries()) if (score > scores[best]!) best = y
  return best
}

/** The group with the largest summed score (reasoning paths with the same answer), the first seen on a tie. */
export function bestGroup(scores: readonly number[], groups: readonly string[]): string {
  const names = [...new Set(groups)]
  const sums = names.map((name) => scores.reduce((sum, score, y) => sum + (groups[y] === name ? score : 0), 0))
  return names[winnerOf(sums)]!
}

const logOf = (row: readonly number[]): number => {
  const [a, b] = [row[correct]!, row[incorrect]!]
  const max = Math.max(a, b)
  return max + Math.log(Math.exp(a - max) + Math.exp(b - max))
}

function normalised(values: readonly number[]): number[] {
  const sum = values.reduce((total, value) => total + value, 0)
  return values.map((value) => value / sum)
}
