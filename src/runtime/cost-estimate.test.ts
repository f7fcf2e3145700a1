/** The estimated cost of rows: by known numbers, and against times that cannot be trusted. */
import { describe, expect, test } from "vitest"
import { estimateCost, relativeTime } from "./cost-estimate.ts"
import { Ledger } from "./ledger.ts"

const curve = { rows: [1, 2, 4, 8], milliseconds: [10, 12, 15, 23], context: 64 }
const times = (milliseconds: number, count: number) => Array<number>(count).fill(milliseconds)

describe("estimateCost", () => {
  test("a measured curve as it is, while nothing was seen", () => {
    const cost = estimateCost(curve, new Map())
    expect([1, 2, 3, 4, 6, 8].map(cost)).toEqual([1, 1.2, 1.35, 1.5, 1.9, 2.3])
  })

  test("no curve: dearer than the machines it was taken from, and never cheaper with more rows", () => {
    const cost = estimateCost(undefined, new Map())
    expect(cost(1)).toBe(1)
    expect(cost(4)).toBeGreaterThan(1.5)
    for (let rows = 2; rows <= 64; rows++) expect(cost(rows)).toBeGreaterThanOrEqual(cost(rows - 1))
  })

  test("passes seen pull it their way: 16 of them count as much as the curve", () => {
    // Four rows took 1.8 passes, the curve said 1.5: a factor of 1.2, half believed.
    const cost = estimateCost(curve, new Map([[1, times(20, 5)], [4, times(36, 16)]])) // biome-ignore format: a pair a size
    expect(cost(4)).toBeCloseTo(1.65, 12)
    expect(cost(8)).toBeCloseTo(2.53, 12) // beyond what was seen: as much dearer
    expect(cost(1)).toBe(1)
    expect(cost(2)).toBeCloseTo(1.2 * (1 + 0.1 / 3), 12) // between: in proportion
  })

  test("a guess gives way sooner than a measurement", () => {
    const seen = new Map([[1, times(20, 5)], [4, times(60, 8)]]) // biome-ignore format: a pair a size
    expect(estimateCost(undefined, seen)(4)).toBeGreaterThan(2.6)
    expect(estimateCost(curve, seen)(4)).toBeLessThan(2.1)
  })

  test("n rows are never believed to cost more than n passes, or less than one", () => {
    const slow = estimateCost(undefined, new Map([[1, times(10, 9)], [2, times(900, 9)]])) // biome-ignore format: a pair a size
    expect([slow(1), slow(2), slow(3)]).toEqual([1, 2, 3])
    const fast = estimateCost(undefined, new Map([[1, times(10, 9)], [8, times(1, 99)]])) // biome-ignore format: a pair a size
    expect(fast(8)).toBeGreaterThanOrEqual(1)
  })

  test("without passes of one row, or with too few of a size, nothing is learned", () => {
    expect(estimateCost(curve, new Map([[4, times(99, 50)]]))(4)).toBe(1.5)
    expect(estimateCost(curve, new Map([[1, times(9, 9)], [4, times(99, 2)]]))(4)).toBe(1.5) // biome-ignore format: a pair a size
  })
})

test("a draft model's pass beside the target's: by medians, once both were seen three times", () => {
  const target = new Map([[1, [20, 20, 500]]])
  expect(relativeTime(new Map([[1, [4, 5, 6]]]), target)).toBe(0.25)
  expect(relativeTime(new Map([[1, [4, 5]]]), target)).toBeUndefined()
  expect(relativeTime(new Map(), target)).toBeUndefined()
})

test("the ledger keeps the last times of whole passes with all logits, by rows", () => {
  const ledger = new Ledger()
  const pass = { rows: 4, layers: 2, logitRows: 4, bytes: 0, milliseconds: 7 }
  ledger.record(pass)
  ledger.record({ ...pass, layers: 1, milliseconds: 3 }) // part of the layers
  ledger.record({ ...pass, logitRows: 1, milliseconds: 5 }) // reads a prompt
  for (let i = 0; i < 40; i++) ledger.record({ ...pass, rows: 1, logitRows: 1, milliseconds: i })
  expect([...ledger.times(2).keys()]).toEqual([4, 1])
  expect(ledger.times(2).get(4)).toEqual([7])
  expect(ledger.times(2).get(1)).toHaveLength(32)
  expect(ledger.times(2).get(1)!.at(-1)).toBe(39)
  expect(ledger.times(1).get(4)).toEqual([3])
  expect(ledger.times(3).size).toBe(0)
})
