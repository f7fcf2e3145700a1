/** Draft-length policies: their formulas by known numbers, and what each does with drafts that go well or badly. */
import { describe, expect, test } from "vitest"
import type { DraftBudget, DraftedToken } from "./draft-budget.ts"
import {
  bestLength,
  createDraftLength,
  draftLengthPolicies,
  expectedSpeedup,
  heuristicLength,
  smoothedLength,
  updatedAcceptance,
} from "./draft-length.ts"

const options = { most: 8, threshold: 0.4, cost: 0.1 }
const drafted = (confidence: number, count = 1): DraftedToken => ({ count, confidence: () => confidence })

/** Lengths over rounds in which the first `good` tokens of each draft are accepted. */
function lengths(budget: DraftBudget, rounds: number, good: number): number[] {
  return Array.from({ length: rounds }, () => {
    const { depth, nodes } = budget.next()
    expect(nodes).toBe(depth)
    budget.observe?.({ drafted: depth, depth, accepted: Math.min(depth, good) })
    return depth
  })
}

test.each([
  [0.6, 0.05, 4, 1.92],
  [0.8, 0.05, 8, 3.09],
  [0.8, 0.1, 6, 2.47],
  [0.9, 0.05, 13, 4.67],
  [0.5, 0.2, 1, 1.25],
])(
  "the best length at acceptance %d and cost %d is %i, for %d times the speed",
  (acceptance, cost, length, speedup) => {
    expect(bestLength(acceptance, cost, 30)).toBe(length)
    expect(expectedSpeedup(acceptance, cost, length)).toBeCloseTo(speedup, 2)
  },
)

test("some length helps exactly when acceptance exceeds cost", () => {
  for (const cost of [0.05, 0.3, 0.9])
    for (const acceptance of [cost / 2, cost - 0.01, cost + 0.01, (1 + cost) / 2])
      expect(bestLength(acceptance, cost, 20) > 0).toBe(acceptance > cost)
})

test("the formulas, by hand", () => {
  expect(heuristicLength(5, true, 20)).toBe(7)
  expect(heuristicLength(5, true, 6)).toBe(6)
  expect(heuristicLength(5, false, 20)).toBe(4)
  expect(heuristicLength(1, false, 20)).toBe(1)
  expect(updatedAcceptance({ accepted: 2, tried: 4 }, 5, 3)).toEqual({ accepted: 4.9, tried: 7.8 })
  expect(updatedAcceptance({ accepted: 2, tried: 4 }, 3, 3)).toEqual({ accepted: 4.9, tried: 6.8 })
  expect(updatedAcceptance({ accepted: 2, tried: 4 }, 0, 0)).toEqual({ accepted: 2, tried: 4 })
  expect(smoothedLength(2.6, 3, 8)).toBe(4)
  expect(smoothedLength(1.4, 3, 8)).toBe(3) // not yet
  expect(smoothedLength(1.2, 3, 8)).toBe(2)
  expect(smoothedLength(99, 3, 8)).toBe(8)
  expect(smoothedLength(0, 3, 8)).toBe(1)
})

describe("over a run", () => {
  test("fixed stays", () => {
    expect(lengths(createDraftLength("fixed", options), 4, 0)).toEqual([8, 8, 8, 8])
  })
  test("heuristic grows by two and shrinks by one, to the bounds", () => {
    const budget = createDraftLength("heuristic", options)
    expect(lengths(budget, 4, 99)).toEqual([5, 7, 8, 8])
    expect(lengths(budget, 9, 0)).toEqual([8, 7, 6, 5, 4, 3, 2, 1, 1])
  })
  test("confidence looks at the last token, cumulative at the whole line, afresh each time", () => {
    const last = createDraftLength("confidence", options)
    expect([0.9, 0.4, 0.39, 0.8].map((c) => last.goesOn!(drafted(c)))).toEqual([true, true, false, true])
    const whole = createDraftLength("cumulative", options)
    for (let draft = 0; draft < 2; draft++) {
      expect(whole.next().depth).toBe(8)
      expect([0.8, 0.8, 0.7, 0.8].map((c) => whole.goesOn!(drafted(c)))).toEqual([true, true, true, false])
    }
  })
  test("closed form: longer when it goes well, off when it does not, and a probe in sixteen", () => {
    expect(lengths(createDraftLength("closed-form", options), 40, 99).at(-1)).toBe(8)
    const bad = lengths(createDraftLength("closed-form", options), 200, 0)
    expect(bad[0]).toBeGreaterThan(0)
    const off = bad.slice(-64)
    expect(off.filter((length) => length === 0)).toHaveLength(60)
    expect(off.filter((length) => length === 1)).toHaveLength(4)
    const recovers = createDraftLength("closed-form", options)
    lengths(recovers, 100, 0)
    expect(lengths(recovers, 400, 99).at(-1)).toBe(8)
  })
  test("ema follows the average, from the tenth round on", () => {
    const budget = createDraftLength("ema", options)
    const found = lengths(budget, 40, 2)
    expect(found.slice(0, 10)).toEqual(Array(10).fill(3))
    expect(found.at(-1)).toBe(3)
    expect(lengths(createDraftLength("ema", options), 40, 0).at(-1)).toBe(1)
    expect(lengths(createDraftLength("ema", options), 60, 99).at(-1)).toBeGreaterThan(5)
  })
  test("every name makes a policy, another is refused", () => {
    for (const name of draftLengthPolicies) expect(createDraftLength(name, options).next().depth).toBeGreaterThan(0)
    expect(() => createDraftLength("toString", options)).toThrow(expect.objectContaining({ code: "E_OPTION" }))
  })
})
