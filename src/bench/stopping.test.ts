/** Trained heads in worlds whose chances are known: no gain where there is none to be had, a clear one where there is. */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { makeTinyFolder } from "../../test/support/tiny-folder.ts"
import { randomHead, randomSmallModel } from "../methods/specdec-plus-plus/test-weights.ts"
import { openCheckpoint } from "../models/files/checkpoint.ts"
import { writePart } from "../models/trained-part.ts"
import { contentHash } from "../runtime/load-runner.ts"
import { createRandom } from "../tensor/random.ts"
import type { DraftedAnswer } from "./draft-replay.ts"
import { measureStopping } from "./stopping.ts"
import { stoppingMap } from "./stopping-map.ts"
import { compareStops, type StopComparison, stopPolicies } from "./stopping-policies.ts"
import { reliabilityTable, stopGainTable, stopTable, verdict } from "./stopping-tables.ts"
import { compareInWorld, constantWorld, type StopWorld, thrown, twoKinds } from "./stopping-worlds.ts"

const longest = 12

/** Lines that say nothing but noise: eight numbers a token. */
function noise(count: number, tokens: number): DraftedAnswer[] {
  const random = createRandom(5)
  return Array.from({ length: count }, (_, index) => {
    const own = random.fork(index)
    const lines = Array.from({ length: tokens - 1 }, (_, place) => {
      const drafted = Array.from({ length: Math.min(longest, tokens - 1 - place) }, () => {
        const hidden = Float32Array.from({ length: 8 }, () => own.next() * 2 - 1)
        return { confidence: () => 0.5, hidden }
      })
      return { right: drafted.length, drafted }
    })
    return { tokens, lineFrom: (place) => lines[place]! }
  })
}
const answers = noise(24, 100)
const trained = (world: StopWorld) => compareInWorld(answers, world, { longest, seed: 7, threads: 1, steps: 300 })
const gainsOf = ({ gains }: StopComparison) => gains.filter(({ family }) => family === "head")
const better = ({ against }: StopComparison) =>
  against.filter((one) => verdict(one) === "yes").map(({ length }) => length)

describe("a head trained on outcomes that are thrown", () => {
  test("of one chance: nothing is gained at any cost, and no fixed length is beaten", async () => {
    const found = await trained(constantWorld)
    for (const { cost, gain } of gainsOf(found)) {
      expect(gain.value, `cost ${cost}`).toBeLessThan(1.01)
      expect(gain.low).toBeLessThanOrEqual(1)
    }
    expect(better(found)).toEqual([])
  }, 180_000)

  test("of chances that its states tell: it gains at every cost, and beats every fixed length from 2 to 8", async () => {
    const found = await trained(twoKinds(answers, 7))
    for (const { cost, gain } of gainsOf(found)) expect(gain.low, `cost ${cost}`).toBeGreaterThan(1)
    expect(better(found)).toEqual(expect.arrayContaining([2, 3, 4, 5, 6, 7, 8]))
  }, 180_000)
})

describe("comparing", () => {
  const told = thrown(answers, constantWorld, createRandom(3))

  test("throws: the share of right tokens is the chance, and one place has one outcome", () => {
    const lines = told.flatMap(({ lineFrom }) => Array.from({ length: 60 }, (_, place) => lineFrom(place).right > 0))
    expect(lines.filter(Boolean).length / lines.length).toBeCloseTo(0.8, 1)
    const [first] = told
    for (let place = 0; place < 60; place++)
      if (first!.lineFrom(place).right > 1)
        expect(first!.lineFrom(place + 1).right).toBeGreaterThanOrEqual(first!.lineFrom(place).right - 1)
  })

  test("a head that says nothing new is a fixed length: the differences are nought", () => {
    const { against } = compareStops(told, stopPolicies({ accepts: () => 0.8, row: "reads" }, longest))
    // Length 1 it never drafts: nothing is judged before the second token.
    expect(verdict(against[0]!)).toBe("never so short")
    // Up to 8 a threshold of the grid hits every length.
    for (const { head, discarded } of against.slice(1, 8)) expect(head!.discarded).toBeCloseTo(discarded, 9)
  })

  test("one half chooses for the other: a threshold that suits only the even answers is not told on them", () => {
    // Even answers are all right, odd ones all wrong: each half's best length is the other's worst.
    const halves = answers.map(({ tokens, lineFrom }, i) => ({
      tokens,
      lineFrom: (place: number) => ({ ...lineFrom(place), right: i % 2 === 0 ? lineFrom(place).drafted.length : 0 }),
    }))
    const { gains } = compareStops(halves, stopPolicies({ accepts: () => 0.5, row: "reads" }, longest))
    expect(gains[0]!.lengths).toEqual([1, longest])
  })

  test("verdicts", () => {
    const of = (low: number, value: number) => verdict({ head: { discarded: 1, less: { value, low, high: 9 } } })
    expect([of(0.1, 0.2), of(-0.1, 0.2), of(-0.3, -0.2)]).toEqual(["yes", "within chance", "no"])
    expect(verdict({})).toBe("never so short")
  })
})

describe("of a tiny model", () => {
  const tiny = makeTinyFolder()
  const folder = mkdtempSync(join(tmpdir(), "forerun-stopping-"))
  beforeAll(async () => {
    const checkpoint = openCheckpoint(tiny.path)
    const tensors = [...randomSmallModel(checkpoint.config), ...randomHead(32, 3)]
    const target = { sha256: await contentHash(checkpoint) }
    const record = { method: "specdec-plus-plus", target, recipe: { depth: 3, rejectWeight: 6 }, metrics: {} }
    const named = tensors.map(([name, tensor]) => ({ name, ...tensor, type: "F32" as const }))
    await writePart(folder, named, record)
    checkpoint.close()
  })
  afterAll(() => {
    tiny.remove()
    rmSync(folder, { recursive: true, force: true })
  })

  test("every rule is replayed, tables and picture show each", async () => {
    const prompts = ["abc", "def", "ghi"].map((text, id) => ({ id, category: "letters", prompt: { text } }))
    const common = { model: tiny.path, part: folder, prompts, maxTokens: 24, threads: 1, weights: "f32" } as const
    const record = await measureStopping({ ...common, method: "specdec-plus-plus", longest: 6, steps: 5 })
    expect(record).toMatchObject({ kind: "stopping", prompts: { letters: 3 }, worlds: [{}, {}] })
    for (const { against } of [record, ...record.worlds])
      expect(against.map(({ length }) => length)).toEqual([1, 2, 3, 4, 5, 6])
    expect(stopTable([record]).rows).toHaveLength(18)
    expect(stopGainTable([record]).rows).toHaveLength(9)
    expect(reliabilityTable([record]).rows.length).toBeGreaterThan(1)
    expect(stoppingMap(record).match(/<title>fixed/g)!.length).toBeGreaterThan(6)
    await expect(measureStopping({ ...common, method: "dovetail" })).rejects.toMatchObject({ code: "E_OPTION" })
  }, 120_000)
})
