/** Medians and bootstrap intervals on values and distributions whose answers are known. */
import { expect, test } from "vitest"
import { createRandom } from "../tensor/random.ts"
import { costRatio, groupedInterval, median, medianInterval, quantile, ratioInterval } from "./statistics.ts"

test("median and quantile", () => {
  expect(median([3, 1, 2])).toBe(2)
  expect(median([4, 1, 3, 2])).toBe(2.5)
  expect(median([10, 9, 2])).toBe(9) // by value, not by text
  expect(() => median([])).toThrow(/at least one/)
  expect([0, 0.5, 1, 0.125].map((at) => quantile([1, 2, 3, 4, 5], at))).toEqual([1, 3, 5, 1.5])
})

test("the same values give the same interval, and it holds the median", () => {
  const values = [1.2, 1.5, 1.1, 1.4, 1.3, 1.6, 1.25, 1.45, 1.35, 1.55]
  const interval = medianInterval(values)
  expect(medianInterval(values)).toEqual(interval)
  expect(interval.median).toBeCloseTo(1.375)
  expect(interval.low).toBeGreaterThanOrEqual(1.1)
  expect(interval.low).toBeLessThan(interval.median)
  expect(interval.high).toBeGreaterThan(interval.median)
  expect(medianInterval([2])).toEqual({ median: 2, low: 2, high: 2 })
})

test.each([
  ["uniform", (u: number) => u, 0.5],
  ["exponential", (u: number) => -Math.log(1 - u), Math.LN2],
])("covers the true median of a %s distribution about 95 times in 100", (_, draw, truth) => {
  const random = createRandom(7)
  const runs = 200
  let covered = 0
  for (let run = 0; run < runs; run++) {
    const { low, high } = medianInterval(
      Array.from({ length: 25 }, () => draw(random.next())),
      run,
    )
    if (low <= truth && truth <= high) covered++
  }
  // Standard error at 95 % of 200 runs is 1.5 %; the percentile bootstrap of a median runs a little off at 25 values.
  expect(covered / runs).toBeGreaterThan(0.9)
  expect(covered / runs).toBeLessThan(0.995)
})

test("repetitions of one prompt do not pass for prompts", () => {
  const spread = [1, 2, 3, 4, 5, 6]
  const repeated = spread.map((value) => Array.from({ length: 50 }, () => value))
  const grouped = groupedInterval(repeated)
  const pooled = medianInterval(repeated.flat())
  expect(grouped.median).toBe(3.5)
  expect(grouped.high - grouped.low).toBeGreaterThan(2 * (pooled.high - pooled.low))
})

test("ratios are taken pair by pair", () => {
  // The machine slowed down threefold half-way: medians of each side say nothing, pairs do.
  const below = [10, 10, 10, 30, 30, 30]
  expect(
    ratioInterval(
      below.map((ms) => ms * 1.5),
      below,
    ),
  ).toEqual({ median: 1.5, low: 1.5, high: 1.5 })
  expect(() => ratioInterval([1], [1, 2])).toThrow(/pairs/)
})

test("cost a token is a ratio of sums over prompts, medians within each", () => {
  const pair = (plain: number, ours: number, tokens: number) => ({
    plain: [plain, plain, plain * 9], // one slow spell
    ours: [ours, ours, ours],
    plainTokens: tokens,
    ourTokens: tokens,
  })
  // 1000 ms against 500 and 10 against 20: 1010 / 520, where the mean of ratios would say 1.25.
  const found = costRatio([pair(1000, 500, 100), pair(10, 20, 1)])!
  expect(found.median).toBeCloseTo(1010 / 520, 12)
  expect(found.low).toBeLessThan(found.median)
  expect(costRatio([pair(1000, 500, 100), pair(10, 20, 1)])).toEqual(found)
  const fewer = { ...pair(1000, 500, 100), ourTokens: 50 } // half the tokens in half the time is no faster
  expect(costRatio([fewer])!.median).toBeCloseTo(1, 12)
  expect(costRatio([pair(10, 10, 0)])).toBeUndefined()
  expect(costRatio([])).toBeUndefined()
})
