/** One tree from several drafters: its parts by small numbers. */
import { describe, expect, test } from "vitest"
import { chainOf } from "../candidate-tree.ts"
import { believed, createAcceptance, withTry } from "./acceptance.ts"
import { planDraft } from "./draft-source.ts"
import { createFollowedDrafts } from "./followed-drafts.ts"
import { byWorth, mergeDrafts, treeOf } from "./merge-drafts.ts"
import { bestSize, createFunds, createRate } from "./tree-size.ts"

/** 1, 1.2, 1.4, … and from the eighth row on twice as steep. */
const cost = (rows: number) => 1 + 0.2 * (rows - 1) + 0.2 * Math.max(0, rows - 7)

const price = (curve: (rows: number) => number) => (size: number) => curve(1 + size) - 1

describe("bestSize", () => {
  test.each([
    ["nothing is drafted", [], 1, 0],
    ["nothing pays", [0.19, 0.1], 1, 0],
    ["all that brings more than its row", [0.9, 0.5, 0.21, 0.2, 0.1], 1, 3],
    ["where time is worth more, less", [0.9, 0.5, 0.21, 0.2, 0.1], 2, 2],
    ["the curve's bend ends it", Array(20).fill(0.3), 1, 6],
    ["a poor token does not end it when a step of the curve is crossed anyway", Array(20).fill(0.5), 1, 20],
  ] as const)("%s", (_, worths, rate, size) => {
    expect(bestSize(worths, price(cost), { rate, funds: 99 }).size).toBe(size)
  })

  test("no more than the funds pay for, the first ones first", () => {
    const size = (funds: number) => bestSize([0.9, 0.8, 0.7], price(cost), { rate: 1, funds }).size
    expect([0.1, 0.25, 0.45, 9].map(size)).toEqual([0, 1, 2, 3])
  })

  test("with the run's rate it brings more tokens for the time than the best ratio of each round", () => {
    // Every fifth round has a line of twelve that comes true nine times in ten for each token, the others nothing.
    const worths = Array.from({ length: 12 }, (_, i) => 0.9 ** (i + 1))
    const cost = (rows: number) => 1 + 0.2 * (rows - 1)
    const overall = (size: number) => {
      const tokens = worths.slice(0, size).reduce((sum, worth) => sum + worth, 0)
      return (5 + tokens) / (4 + cost(1 + size))
    }
    let ratio = 0
    const ratioOf = (size: number) => (overall(size) * (4 + cost(1 + size)) - 4) / cost(1 + size)
    for (let size = 1; size <= 12; size++) if (ratioOf(size) > ratioOf(ratio)) ratio = size
    let rate = 1
    for (let i = 0; i < 50; i++) rate = overall(bestSize(worths, price(cost), { rate, funds: 99 }).size)
    expect(rate).toBeGreaterThan(overall(ratio))
    expect(rate).toBeCloseTo(Math.max(...worths.map((_, i) => overall(i + 1))), 9)
  })
})

test("planDraft: drafting that costs shortens the line, or forbids it", () => {
  const market = { cost, rate: 1, funds: 99 }
  expect(planDraft(0.8, 6, market, () => 0).size).toBe(6)
  expect(planDraft(0.8, 6, market, (drafted) => 0.2 * drafted)).toEqual({ size: 4, gain: expect.closeTo(0.7616, 9) })
  expect(planDraft(0.8, 6, market, (drafted) => 0.7 * drafted)).toEqual({ size: 0, gain: 0 })
  expect(planDraft(0.8, 6, { ...market, funds: 0.5 }, () => 0).size).toBe(2)
  expect(planDraft(0.8, 0, market, () => 0).size).toBe(0)
})

describe("acceptance", () => {
  test("an expectation counts as eight tries, and one standard error is taken off", () => {
    expect(believed({ accepted: 0, tried: 0 }, 0.5)).toBeCloseTo(0.5 - 0.5 / Math.sqrt(8), 12)
    expect(believed({ accepted: 4, tried: 4 }, 0.5)).toBeCloseTo(2 / 3 - Math.sqrt(2 / 9 / 12), 12)
    expect(believed({ accepted: 0, tried: 12 }, 0.8)).toBeCloseTo(0.32 - Math.sqrt((0.32 * 0.68) / 20), 12)
    expect(believed({ accepted: 0, tried: 0 }, 0.01)).toBe(0)
    expect(believed({ accepted: 0, tried: 0 }, 1)).toBe(1)
    expect(withTry({ accepted: 1, tried: 2 }, true)).toEqual({ accepted: 1.98, tried: 2.96 })
  })

  test("what one grade shows lowers or raises the others", () => {
    const refused = createAcceptance(() => 0.6)
    const taken = createAcceptance(() => 0.6)
    for (let i = 0; i < 8; i++) {
      refused.observe(3, false)
      taken.observe(3, true)
    }
    expect(refused.chance(3)).toBeLessThan(0.16)
    expect(refused.chance(7)).toBeLessThan(0.3)
    expect(taken.chance(7)).toBeGreaterThan(0.65)
    expect(taken.chance(7)).toBeLessThan(0.97)
    expect(createAcceptance(() => 0.5).chance(7)).toBeCloseTo(0.5 - 0.5 / Math.sqrt(8), 12)
  })

  test("it forgets: a text that changes is believed anew", () => {
    const changing = createAcceptance(() => 0.5)
    for (let i = 0; i < 300; i++) changing.observe(1, false)
    expect(changing.chance(1)).toBeLessThan(0.02)
    for (let i = 0; i < 60; i++) changing.observe(1, true)
    expect(changing.chance(1)).toBeGreaterThan(0.6)
  })
})

describe("followed drafts", () => {
  const follow = () => {
    const seen: string[] = []
    const places: boolean[] = []
    const drafts = createFollowedDrafts({
      observe: (grade, isAccepted) => void seen.push(`${grade}${isAccepted ? "+" : "-"}`),
      observePlace: (isAccepted) => void places.push(isAccepted),
    })
    return { drafts, seen, places }
  }

  test("a line counts up to its first wrong token, over rounds", () => {
    const { drafts, seen } = follow()
    drafts.add({ tree: chainOf([5, 6, 7, 8]), grades: [1, 2, 3, 4] })
    drafts.read([5])
    drafts.read([6, 9, 8])
    expect(seen).toEqual(["1+", "2+", "3-"])
  })

  test("all siblings below the text's way count, and nothing off it", () => {
    const { drafts, seen, places } = follow()
    // 5 and 4 below the pending token, 6 and 7 below 5, 8 below 4.
    drafts.add({ tree: { tokens: [5, 4, 6, 7, 8], parents: [-1, -1, 0, 0, 1] }, grades: [1, 2, 3, 4, 5] })
    drafts.read([5, 7, 1])
    expect(seen).toEqual(["1+", "2-", "3-", "4+"])
    expect(places).toEqual([true, true])
  })

  test("where drafts overlap, a token counts once for each grade: by the newest", () => {
    const { drafts, seen, places } = follow()
    drafts.add({ tree: chainOf([5, 6]), grades: [1, 2] })
    drafts.read([5])
    drafts.add({ tree: chainOf([9, 9]), grades: [2, 3] })
    drafts.read([6])
    expect(seen).toEqual(["1+", "2-"])
    expect(places).toEqual([true, false])
  })
})

describe("mergeDrafts", () => {
  const line = { tree: chainOf([5, 6, 7]), chances: [0.5, 0.8, 0.5] }
  const tree = { tree: { tokens: [4, 5, 6, 9], parents: [-1, -1, 1, 1] }, chances: [0.4, 0.2, 0.9, 0.05] }

  test("equal tokens at equal places are one node, which knows its index in each draft", () => {
    const { tree: merged, own } = mergeDrafts([line, tree])
    expect(merged).toEqual({ tokens: [5, 6, 7, 4, 9], parents: [-1, 0, 1, -1, 0] })
    expect(own).toEqual([
      [0, 1, 2, -1, -1],
      [1, 2, -1, 0, 3],
    ])
  })

  test("worth: the higher chance of the two, times the parent's", () => {
    const { worths } = mergeDrafts([line, tree])
    expect(worths.map((worth) => Number(worth.toFixed(6)))).toEqual([0.5, 0.45, 0.225, 0.4, 0.025])
    expect(byWorth({ worths })).toEqual([0, 1, 3, 2, 4])
  })

  test("siblings never promise more than one token together", () => {
    const sure = (token: number) => ({ tree: chainOf([token]), chances: [0.9] })
    expect(mergeDrafts([sure(1), sure(2), sure(3)]).worths).toEqual([1 / 3, 1 / 3, 1 / 3])
  })

  test("the best nodes make a tree: no child without its parent", () => {
    const { tree: merged, worths } = mergeDrafts([line, tree])
    for (let size = 0; size <= 5; size++) {
      const nodes = byWorth({ worths })
        .slice(0, size)
        .sort((a, b) => a - b)
      expect(treeOf(merged, nodes).parents.every((parent, node) => parent !== undefined && parent < node)).toBe(true)
    }
    expect(treeOf(merged, [0, 1, 3])).toEqual({ tokens: [5, 6, 4], parents: [-1, 0, -1] })
  })

  test("nothing from nothing", () => {
    expect(mergeDrafts([]).tree).toEqual({ tokens: [], parents: [] })
  })
})

test("the rate starts as plain decoding's, follows what comes, and never falls below it", () => {
  const rate = createRate()
  expect(rate.value()).toBe(1)
  for (let i = 0; i < 200; i++) rate.observe(4, 2)
  expect(rate.value()).toBeCloseTo(2, 1)
  for (let i = 0; i < 200; i++) rate.observe(1, 1.5)
  expect(rate.value()).toBe(1)
})

test("funds: losses end drafting, gains pay for more, a hundredth of the time always may", () => {
  const funds = createFunds()
  expect(funds.value()).toBe(0.6)
  for (let i = 0; i < 3; i++) funds.observe(1, 1.2) // a refused row each
  expect(funds.value()).toBeCloseTo(0.036, 9)
  for (let i = 0; i < 100; i++) funds.observe(1, 1)
  expect(funds.value()).toBeCloseTo(1.036, 9)
  funds.observe(5, 2)
  expect(funds.value()).toBeCloseTo(4.056, 9)
  for (let i = 0; i < 50; i++) funds.observe(5, 2)
  expect(funds.value()).toBe(12)
})
