/** Accuracies, agreement and the sweep over three questions worked out by hand; intervals against published values. */
import { expect, test } from "vitest"
import { fromProbabilities, type GameOptions, playGame } from "../methods/equilibrium-ranking/game.ts"
import { bestGroup, rankingNames, rankings } from "../methods/equilibrium-ranking/rankings.ts"
import { type RankedQuestion, summariseRanks } from "./rank-summary.ts"
import { shareInterval } from "./statistics.ts"

const options: GameOptions = {
  lambdaG: 0.1,
  lambdaD: 0.1,
  etaG: 0.1,
  etaD: 0.1,
  iterations: 5000,
  initial: "cross",
  solver: "pikl",
}

function question(generator: number[][], discriminator: number[][], answer?: string): RankedQuestion {
  const likelihoods = fromProbabilities(generator, discriminator)
  const game = playGame(likelihoods, options)
  const scores = rankings(likelihoods, game)
  const groups = ["y0", "y1"]
  const winner = Object.fromEntries(rankingNames.map((name) => [name, bestGroup(scores[name], groups)]))
  return { likelihoods, residual: game.residual, winner, groups, ...(answer === undefined ? {} : { answer }) }
}

test("three questions, one without an answer", () => {
  // ER-2 of the specification: G y0, SC y0, D y1, the game y1 in the end, and y1, y0, y1 after 1, 99 and 5000 updates.
  const flips = question([[0.6, 0.4], [0.3, 0.7]], [[0.4, 0.6], [0.8, 0.2]], "y1") // biome-ignore format: a table
  const plain = question([[0.9, 0.1], [0.5, 0.5]], [[0.9, 0.1], [0.2, 0.8]], "y0") // biome-ignore format: a table
  const unknown = question([[0.9, 0.1], [0.5, 0.5]], [[0.9, 0.1], [0.2, 0.8]]) // biome-ignore format: a table
  const summary = summariseRanks([flips, plain, { ...unknown, winner: { ...unknown.winner, greedy: "y1" } }], options)
  const right = (share: { right: number; total: number }) => [share.right, share.total]
  expect(summary.questions).toBe(3)
  expect(right(summary.accuracy.G!)).toEqual([1, 2])
  expect(right(summary.accuracy.D!)).toEqual([2, 2])
  expect(right(summary.accuracy["ER-G"]!)).toEqual([2, 2])
  expect(right(summary.accuracy.greedy!)).toEqual([0, 2])
  expect(right(summary.whereTheyDiffer.G!)).toEqual([0, 1])
  expect(right(summary.agreement.initial)).toEqual([2, 3])
  expect(right(summary.agreement.final)).toEqual([3, 3])
  expect(summary.sweep.map(({ iterations }) => iterations)).toEqual([0, 1, 10, 100, 1000, 5000])
  const after = (iterations: number) => summary.sweep.find((row) => row.iterations === iterations)!["ER-G"].right
  expect([0, 1, 100, 5000].map(after)).toEqual([1, 2, 1, 2])
  expect(summary.residual.max).toBe(Math.max(flips.residual, plain.residual))
})

test("the score interval: 81 of 263 (Newcombe 1998), the ends, and nothing at all", () => {
  const { value, low, high } = shareInterval(81, 263)
  expect([value, low, high].map((p) => p.toFixed(4))).toEqual(["0.3080", "0.2553", "0.3662"])
  expect(shareInterval(0, 20).low).toBe(0)
  expect(shareInterval(0, 20).high.toFixed(4)).toBe("0.1611") // Newcombe 1998: 0 of 20
  expect(shareInterval(20, 20).high).toBe(1)
  expect(shareInterval(0, 0)).toMatchObject({ value: Number.NaN, low: 0, high: 1 })
})
