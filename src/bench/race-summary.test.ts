/** Summaries of races on traces whose expectations are known by hand. */
import { expect, test } from "vitest"
import type { Problem } from "../methods/first-finish/replay.ts"
import { summariseRaces } from "./race-summary.ts"

const trace = (length: number, answer: string) => ({ length, answer, finished: true })
/** Right when short, in every problem. */
const coupled: Problem[] = Array.from({ length: 10 }, () => ({
  gold: "A",
  traces: [trace(9, "B"), trace(3, "A"), trace(8, "C"), trace(4, "A")],
}))
/** Right answers are shorter in one problem and longer in the other. */
const mixed: Problem[] = [
  { gold: "A", traces: [trace(3, "A"), trace(9, "B")] },
  { gold: "A", traces: [trace(3, "B"), trace(9, "A")] },
]

const rowsOf = (problems: readonly Problem[]) =>
  new Map(summariseRaces(problems).rows.map((row) => [`${row.lanes} ${row.rule}`, row]))

test("the gain is paired with one lane: it is exact where all problems are alike", () => {
  const rows = rowsOf(coupled)
  expect(rows.get("1 single")!.accuracy).toEqual({ mean: 0.5, low: 0.5, high: 0.5 })
  expect(rows.get("1 single")!.gain).toBeUndefined()
  expect(rows.get("4 first-1")!.gain).toEqual({ mean: 0.5, low: 0.5, high: 0.5 })
  expect(rows.get("4 last-1")!.gain).toEqual({ mean: -0.5, low: -0.5, high: -0.5 })
})

test("lanes that end together vote, or the lowest of them is heard alone", () => {
  const tied: Problem[] = [{ gold: "A", traces: [trace(3, "B"), trace(3, "A"), trace(3, "A"), trace(9, "C")] }]
  const rows = rowsOf(tied)
  expect(rows.get("4 first-1")!.accuracy.mean).toBe(1)
  expect(rows.get("4 first-1, no vote on ties")!.accuracy.mean).toBe(0)
})

test("intervals of accuracies stay between 0 and 1, and are not empty where problems differ", () => {
  const uneven = [...coupled, { gold: "A", traces: coupled[0]!.traces.map(({ length }) => trace(length, "B")) }]
  const { accuracy } = rowsOf(uneven).get("4 first-1")!
  expect(accuracy.mean).toBeCloseTo(10 / 11)
  expect(accuracy.low).toBeLessThan(accuracy.mean)
  expect(accuracy.high).toBe(1)
})

test("the sign of length is counted problem by problem, over those with right and wrong lanes", () => {
  expect(summariseRaces(coupled).lengths).toMatchObject({ mixed: 10, rightShorter: { right: 10, total: 10 } })
  expect(summariseRaces(mixed).lengths).toMatchObject({ mixed: 2, rightShorter: { right: 1, total: 2 } })
  // Lengths 9, 3, 8, 4 and rights 0, 1, 0, 1: covariance 3.5/2 − 6/2 = −1.25, deviations √6.5 and ½.
  expect(summariseRaces(coupled).lengths!.correlation.mean).toBeCloseTo(-2.5 / Math.sqrt(6.5))
  expect(summariseRaces(mixed).lengths!.correlation.mean).toBeCloseTo(0)
  const alike: Problem[] = [
    { gold: "A", traces: [trace(3, "A"), trace(9, "A")] },
    { gold: "A", traces: [trace(5, "A"), trace(5, "B")] },
  ]
  expect(summariseRaces(alike).lengths).toMatchObject({ mixed: 1, rightShorter: { right: 0, total: 0 } })
})
