/** DEL's decisions on numbers: tokens per layer, records of exits, and how soon the choice follows a change of context. */
import { describe, expect, test } from "vitest"
import { seeded } from "../../../test/support/tiny-model.ts"
import { easy, hard, worldLayers } from "../../bench/exits/published-world.ts"
import { roundsUntil, simulateDel, type World } from "../../bench/exits/simulate-del.ts"
import { acceptanceOf, emptyRecord, type ShadowToken, thresholdOf, updatedRecord } from "./exit-record.ts"
import { choosePlan, expectedTokens, paperCosts, tokensPerLayer } from "./plan.ts"

const untrained = new Map([...easy.keys()].map((exit) => [exit, 0.9 / (1 + Math.exp(-(exit - 28) / 0.8))]))
const paper = paperCosts(worldLayers)

describe("tokens per layer", () => {
  test("the closed form and the sum are one", () => {
    for (const acceptance of [0, 0.3, 0.918, 0.999])
      for (const length of [0, 1, 5, 17]) {
        const closed = (1 - acceptance ** (length + 1)) / (1 - acceptance)
        expect(expectedTokens(acceptance, length)).toBeCloseTo(closed, 9)
        const found = tokensPerLayer(acceptance, { exit: 7, length }, paper)
        expect(found).toBeCloseTo(closed / (length * 7 + 32), 12)
        expect(found).toBeCloseTo(closed / (length === 0 ? 32 : 32 - 7 + (length + 1) * 7), 12) // as the code writes it
      }
    expect(expectedTokens(1, 4)).toBe(5)
  })

  test("the optima of both phases, and of a model whose exits are useless", () => {
    expect(choosePlan(easy, paper)).toMatchObject({ exit: 12, length: 5 })
    expect(choosePlan(easy, paper).gain).toBeCloseTo(1.71, 2)
    expect(choosePlan(hard, paper)).toMatchObject({ exit: 21, length: 2 })
    expect(choosePlan(hard, paper).gain).toBeCloseTo(1.135, 2)
    expect(choosePlan(untrained, paper)).toEqual({ exit: 1, length: 0, gain: 1 })
  })

  test("the head turns a gain on paper into none: the paper's costs draft, the whole costs do not", () => {
    // 30 layers and a head worth 8: SmolLM2-135M after a light training.
    const acceptances = new Map([
      [10, 0.42],
      [15, 0.52],
    ])
    expect(choosePlan(acceptances, paperCosts(30)).length).toBeGreaterThan(0)
    expect(choosePlan(acceptances, { ...paperCosts(30), head: 8 })).toMatchObject({ length: 0, gain: 1 })
    const [plan, costs] = [
      { exit: 10, length: 2 },
      { ...paperCosts(30), head: 8 },
    ]
    expect(tokensPerLayer(0.5, plan, costs)).toBeCloseTo(1.75 / (2 * 18 + 38), 12)
  })

  test("rows that cost something shorten drafts, shadow tokens that cost something end them", () => {
    const rows = (count: number) => 1 + 0.2 * (count - 1)
    expect(choosePlan(easy, { ...paper, rows }).length).toBeLessThan(5)
    expect(choosePlan(easy, { ...paper, rows }).length).toBeGreaterThan(0)
    expect(choosePlan(easy, { ...paper, shadows: () => 160 }).length).toBe(0)
  })

  test("an exit that nothing is known of is never chosen, nor is one that is always right dearer than the rest", () => {
    expect(
      choosePlan(
        new Map([
          [1, undefined],
          [2, undefined],
        ]),
        paper,
      ),
    ).toEqual({ exit: 1, length: 0, gain: 1 })
    expect(
      choosePlan(
        new Map([
          [1, undefined],
          [2, 1],
        ]),
        paper,
      ),
    ).toMatchObject({ exit: 2, length: 17 })
    expect(choosePlan(new Map([[3, Number.NaN]]), paper).length).toBe(0)
  })
})

const token = (matches: boolean, confidence: number): ShadowToken => ({ matches, confidence })

describe("records", () => {
  test("counts and confidences fade together, once a round and not once a token", () => {
    const first = updatedRecord(emptyRecord, [token(true, 0.9), token(true, 0.7), token(false, 0.2)], 0.5)
    expect(first).toEqual({ matches: 2, mismatches: 1, matchConfidence: 1.6, mismatchConfidence: 0.2 })
    const second = updatedRecord(first, [token(false, 0.4), token(false, 0.6)], 0.5)
    expect(second.matches).toBe(1)
    expect(second.mismatches).toBe(2.5)
    expect(acceptanceOf(second)).toBeCloseTo(1 / 3.5, 12)
    expect(thresholdOf(second)).toBeCloseTo((0.8 + 1.1 / 2.5) / 2, 12)
  })

  test("no threshold from one side alone: 0/0 would let every draft run to the cap", () => {
    expect(thresholdOf(emptyRecord)).toBeUndefined()
    expect(thresholdOf(updatedRecord(emptyRecord, [token(true, 0.9)], 0.95))).toBeUndefined()
    expect(thresholdOf(updatedRecord(emptyRecord, [token(false, 0.9)], 0.95))).toBeUndefined()
    expect(acceptanceOf(emptyRecord)).toBeUndefined()
  })
})

const simulate = ({ seed, ...world }: Omit<World, "costs" | "random"> & { seed: number }) =>
  simulateDel({ ...world, costs: paper, random: seeded(seed) })

const change = 150
const mixture = { rounds: 400, at: (round: number) => (round < change ? easy : hard) }
const quantile = (values: readonly number[], share: number) =>
  [...values].sort((a, b) => a - b)[Math.floor(share * (values.length - 1))]!

/** Rounds from the change until the exit is within two layers of the best; Infinity: never. */
function delays(omega: number): number[] {
  return Array.from({ length: 40 }, (_, seed) => {
    const { exits } = simulate({ ...mixture, omega, seed })
    return roundsUntil(exits, change, { best: 21, near: 2 }) ?? Number.POSITIVE_INFINITY
  })
}

describe("a change of context at round 150 of 400", () => {
  test("rounds until the exit has followed: the decay decides", () => {
    const [usual, quick, never] = [delays(0.95), delays(0.8), delays(1)]
    // Published for the same world: 22 (nine in ten within 29), 5 (9), and never.
    expect(Math.abs(quantile(usual, 0.5) - 22)).toBeLessThanOrEqual(5)
    expect(Math.abs(quantile(usual, 0.9) - 29)).toBeLessThanOrEqual(6)
    expect(Math.abs(quantile(quick, 0.5) - 5)).toBeLessThanOrEqual(2)
    expect(Math.abs(quantile(quick, 0.9) - 9)).toBeLessThanOrEqual(3)
    expect(quantile(never, 0.5)).toBe(Number.POSITIVE_INFINITY)
    expect(Math.min(...never)).toBeGreaterThan(100)
  })

  test("speed in layers: above the best fixed pair with decay, below it without", () => {
    const mean = (omega: number) => {
      const runs = Array.from({ length: 10 }, (_, seed) => simulate({ ...mixture, omega, seed }).speedup)
      return runs.reduce((sum, speedup) => sum + speedup, 0) / runs.length
    }
    const fixed = 1.17 // the best static pair, as published
    expect(mean(0.95)).toBeGreaterThan(fixed + 0.08) // 1.34 there
    expect(mean(0.8)).toBeGreaterThan(fixed + 0.05) // 1.31
    expect(mean(1)).toBeLessThan(fixed) // 1.11
  })
})

test("without the row of the first mismatch every exit looks better than it is", () => {
  const world = { omega: 0.999, seed: 4, rounds: 3000, at: () => new Map([[8, 0.7]]) }
  const measured = (isExclusive: boolean) => acceptanceOf(simulate({ ...world, isExclusive }).records.get(8)!)!
  expect(measured(false)).toBeCloseTo(0.7, 1)
  expect(measured(true)).toBeGreaterThan(0.85)
})
