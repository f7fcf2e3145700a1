/** What many ranked questions say together: accuracies with intervals, agreement, and what the number of updates does. */

import type { RankOutcome } from "../methods/equilibrium-ranking/equilibrium-ranking.ts"
import { type GameOptions, playGame } from "../methods/equilibrium-ranking/game.ts"
import { bestGroup, type RankingName, rankingNames, rankings } from "../methods/equilibrium-ranking/rankings.ts"
import { median, type Share, shareInterval } from "./statistics.ts"

/** One question's result, as far as a summary needs it. */
export interface RankedQuestion extends Pick<RankOutcome, "likelihoods" | "residual"> {
  /** What each ranking chose, as it is compared with the answer; further baselines may be among them. */
  readonly winner: Readonly<Record<string, string | undefined>>
  readonly answer?: string | undefined
  /** What each candidate counts as: itself, or the answer at its end. */
  readonly groups: readonly string[]
}

export interface RankSummary {
  readonly questions: number
  /** Of the questions with a known answer. */
  readonly accuracy: Readonly<Record<string, Share>>
  /** How often generator and discriminator choose the same: of their initial policies, and of their final ones. */
  readonly agreement: { readonly initial: Share; readonly final: Share }
  /** Accuracies on the questions where G and D choose differently. */
  readonly whereTheyDiffer: Readonly<Record<string, Share>>
  readonly residual: { readonly median: number; readonly max: number }
  /** The same likelihoods after other numbers of updates. */
  readonly sweep: readonly { readonly iterations: number; readonly "ER-G": Share; readonly "ER-D": Share }[]
}

export const sweptIterations = [0, 1, 10, 100, 1000, 5000] as const

export function summariseRanks(questions: readonly RankedQuestion[], options: GameOptions): RankSummary {
  const known = questions.filter(({ answer }) => answer !== undefined)
  const names = new Set<string>([...rankingNames, ...questions.flatMap(({ winner }) => Object.keys(winner))])
  const accuracies = (of: readonly RankedQuestion[]) =>
    Object.fromEntries([...names].map((name) => [name, share(of, ({ winner, answer }) => winner[name] === answer)]))
  const residuals = questions.map(({ residual }) => residual)
  const agree = (a: RankingName, b: RankingName) => share(questions, ({ winner }) => winner[a] === winner[b])
  return {
    questions: questions.length,
    accuracy: accuracies(known),
    agreement: { initial: agree("SC", "D"), final: agree("ER-G", "ER-D") },
    whereTheyDiffer: accuracies(known.filter(({ winner }) => winner.G !== winner.D)),
    residual: { median: questions.length === 0 ? 0 : median(residuals), max: Math.max(0, ...residuals) },
    sweep: sweep(known, options),
  }
}

function sweep(known: readonly RankedQuestion[], options: GameOptions): RankSummary["sweep"] {
  const played = known.map(({ likelihoods, groups, answer }) => {
    const iterations = Math.max(...sweptIterations)
    const game = playGame(likelihoods, { ...options, solver: "pikl", iterations }, sweptIterations)
    return sweptIterations.map((at) => {
      const scores = rankings(likelihoods, { ...game, final: game.trace.get(at)! })
      const right = (name: RankingName) => bestGroup(scores[name], groups) === answer
      return { "ER-G": right("ER-G"), "ER-D": right("ER-D") }
    })
  })
  return sweptIterations.map((iterations, i) => ({
    iterations,
    "ER-G": share(played, (one) => one[i]!["ER-G"]),
    "ER-D": share(played, (one) => one[i]!["ER-D"]),
  }))
}

const share = <T>(items: readonly T[], holds: (item: T) => boolean): Share =>
  shareInterval(items.filter(holds).length, items.length)
