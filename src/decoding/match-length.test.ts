/** How long a copied draft gets, by hand: chances, costs, and what evidence does. */
import { describe, expect, test } from "vitest"
import { createMatchLength, paidLength } from "./match-length.ts"

const line = (slope: number) => (rows: number) => 1 + slope * (rows - 1)

describe("paidLength", () => {
  test.each([
    ["rows that cost nothing: all of them", 0.1, 0, 12, 12],
    ["rows as dear as passes: none, however sure", 0.99, 1, 12, 0],
    ["a chance below a row's price: none", 0.09, 0.1, 12, 0],
    // Worth of lengths 0 to 4 at a half and a tenth: 1, 1.364, 1.458, 1.442, 1.384.
    ["a half and a tenth: two", 0.5, 0.1, 12, 2],
    ["the room is a limit", 0.5, 0.1, 1, 1],
    ["no room", 0.9, 0.1, 0, 0],
  ])("%s", (_, chance, slope, most, expected) => {
    expect(paidLength(() => chance, most, line(slope))).toBe(expected)
  })

  test("a doubtful token is crossed when what lies behind it is sure", () => {
    expect(paidLength((i) => (i === 0 ? 0.15 : 1), 30, line(0.1))).toBe(30)
    expect(paidLength((i) => (i === 0 ? 0.15 : 0), 30, line(0.1))).toBe(1)
  })
})

describe("createMatchLength", () => {
  const expected = (agreed: number) => agreed / (agreed + 1.5)

  test("a longer match earns a longer draft", () => {
    const length = createMatchLength(expected, line(0.1))
    const lengths = [1, 2, 3, 5, 8, 16, 64].map((agreed) => length.best(agreed, 127))
    expect(lengths).toEqual([...lengths].sort((a, b) => a - b))
    expect(lengths[0]).toBeLessThan(lengths[3]!)
    expect(lengths[6]).toBeGreaterThan(12)
  })

  test("refusals shorten drafts of their grade and of shorter ones, and no others", () => {
    const length = createMatchLength(expected, line(0.1))
    const before = [4, 5, 6, 30].map((agreed) => length.best(agreed, 127))
    for (let i = 0; i < 40; i++) length.observe(5, 10, 0)
    const after = [4, 5, 6, 30].map((agreed) => length.best(agreed, 127))
    expect(after[1]).toBe(0)
    expect(after[0]).toBeLessThan(before[0]!)
    expect(after.slice(2)).toEqual(before.slice(2))
  })

  test("tokens behind a refusal were not tried, and those behind the draft's end neither", () => {
    const [refused, whole] = [createMatchLength(expected, line(0.1)), createMatchLength(expected, line(0.1))]
    for (let i = 0; i < 40; i++) {
      refused.observe(3, 10, 2) // grades 3 and 4 accepted, 5 refused
      whole.observe(3, 2, 2) // grades 3 and 4 accepted, nothing known of 5
    }
    expect(refused.best(3, 127)).toBe(2)
    expect(refused.best(5, 127)).toBe(0)
    expect(refused.best(6, 127)).toBeGreaterThan(0)
    expect(whole.best(3, 127)).toBeGreaterThan(2)
  })
})
