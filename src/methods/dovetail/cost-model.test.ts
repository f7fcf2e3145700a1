/** Dovetail's arithmetic against the published numbers, and what must follow from it. */
import { expect, test } from "vitest"
import {
  bestBudget,
  drafterWeights,
  fitVerifyCost,
  overlappedRound,
  type Placement,
  placedSpeedup,
  serialRound,
  tokensFor,
} from "./cost-model.ts"

test("overlap is worth a few percent where drafting is short, and a third where it is as long as verification", () => {
  const gain = (draft: number, hit: number) => {
    const times = { draft, transfer: 0, verify: 1 }
    return 100 * (serialRound(times) / overlappedRound(times, hit) - 1)
  }
  expect([gain(0.15, 0.3), gain(0.15, 0.5)].map((percent) => percent.toFixed(1))).toEqual(["4.1", "7.0"])
  expect([gain(0.3, 0.3), gain(0.3, 0.5)].map((percent) => percent.toFixed(1))).toEqual(["7.4", "13.0"])
  expect([gain(1, 0.3), gain(1, 0.5)].map((percent) => percent.toFixed(1))).toEqual(["17.6", "33.3"])
  expect(gain(1, 0)).toBe(0)
})

test("a line through measured passes", () => {
  const points = [1, 2, 4, 8, 16].map((rows) => ({ rows, milliseconds: 20 + 1.5 * rows }))
  const { base, row } = fitVerifyCost(points)
  expect([base, row]).toEqual([expect.closeTo(20, 9), expect.closeTo(1.5, 9)])
})

/** A tree whose likeliest nodes go in first: more rows bring ever less. */
const tokens = Array.from({ length: 64 }, (_, i) => 1 + 2.6 * (1 - Math.exp(-i / 9)))

test("the dearer a row beside a pass, the smaller the tree; and none where drafting alone is too long", () => {
  const best = (row: number, draft = 0.15) => bestBudget(tokens, { draft, transfer: 0 }, { base: 1, row }).rows
  const budgets = [0.002, 0.01, 0.03, 0.06].map((row) => best(row))
  expect(budgets).toEqual([...budgets].sort((a, b) => b - a))
  expect(budgets[0]!).toBeGreaterThan(2 * budgets[3]!)
  expect(best(0.03, 3)).toBe(1)
  expect(best(0.03, 0.6)).toBeGreaterThan(best(0.03, 0.1)) // a dear draft wants more tokens of it
})

test("with the target on a slow device smaller trees win; the gain over plain passes is of this device", () => {
  const fast = bestBudget(tokens, { draft: 3, transfer: 1 }, { base: 20, row: 0.2 })
  const slow = bestBudget(tokens, { draft: 3, transfer: 1 }, { base: 20, row: 3 })
  expect(slow.rows).toBeLessThan(fast.rows)
  expect(slow.speedup).toBeLessThan(fast.speedup)
})

test("where it pays: more with the device's ratio, never more than tokens over verification", () => {
  const place: Placement = { tokens: 2, passes: 5, draftCost: 0.1, deviceRatio: 1, verifyCost: 1.3, transfer: 0.02 }
  expect(placedSpeedup(place)).toBeCloseTo(2 / (0.5 + 0.02 + 1.3), 12)
  const speeds = [1, 2, 4, 1e9].map((deviceRatio) => placedSpeedup({ ...place, deviceRatio }))
  expect(speeds).toEqual([...speeds].sort((a, b) => a - b))
  expect(speeds.at(-1)!).toBeCloseTo(2 / 1.32, 6)
  expect(tokensFor(placedSpeedup(place), place)).toBeCloseTo(2, 12)
})

test("SmolLM2 on one device cannot gain: its tokens a round are bought with nearly as many passes", () => {
  // Eight rows cost 1.8 passes, a round brings 1.8 tokens: drafting itself is what is lost.
  const place = { tokens: 1.8, passes: 4, draftCost: 0.08, verifyCost: 1.8, transfer: 0 }
  expect(placedSpeedup({ ...place, deviceRatio: 1 })).toBeLessThan(1)
  expect(placedSpeedup({ ...place, deviceRatio: 1e9 })).toBeCloseTo(1, 6)
})

test("five layers for Llama-2-7B are 1.34 G weights, 2.7 GB in half precision; the fusion is 67 M of them", () => {
  const llama = { hidden: 4096, intermediate: 11008, kvWidth: 4096, vocabulary: 32000 }
  expect(drafterWeights({ ...llama, layers: 5 }) / 1e9).toBeCloseTo(1.34, 2)
  expect((drafterWeights({ ...llama, layers: 5 }) * 2) / 1e9).toBeCloseTo(2.7, 1)
  const layer = drafterWeights({ ...llama, layers: 2 }) - drafterWeights({ ...llama, layers: 1 })
  expect(layer / 1e6).toBeCloseTo(202, 0)
  const empty = drafterWeights({ ...llama, vocabulary: 0, layers: 0 })
  expect(empty / 1e6).toBeCloseTo(67.1, 1)
})
