/** How far drafts come true: counts by hand, settings that are none, and every drafter on a tiny model. */
import { rmSync } from "node:fs"
import { join } from "node:path"
import { afterAll, describe, expect, test } from "vitest"
import { writeRandomParts } from "../../test/support/random-parts.ts"
import { makeTinyFolder } from "../../test/support/tiny-folder.ts"
import type { GenerateResult } from "../generate/types.ts"
import { readDraftSettings } from "./draft-settings.ts"
import { measureDrafts, rowOf } from "./drafts.ts"
import { draftsTable } from "./drafts-tables.ts"

const answer = (tokens: number[], histogram: number[], passes: number) => {
  const rounds = histogram.reduce((sum, count) => sum + count, 0)
  const accepted = histogram.reduce((sum, count, i) => sum + i * count, 0)
  const speculation = { rounds, drafted: 3 * rounds, accepted, meanAcceptedLength: 1 + accepted / rounds, histogram }
  return { tokens, speculation, passes: { target: rounds, draft: passes } } as unknown as GenerateResult
}

test("rounds of all answers together; answers in circles left out; tasks apart", () => {
  const circle = Array.from({ length: 40 }, (_, i) => i % 2)
  const prompts = ["code", "code", "talk"].map((category, id) => ({ id, category, prompt: { text: "x" } }))
  const results = [answer([1, 2], [2, 0, 2], 8), answer(circle, [0, 0, 0, 10], 20), answer([3], [6], 6)]
  const plain = [results[0]!, results[1]!, answer([4], [1], 0)]
  const row = rowOf({ method: "medusa", setting: "s" }, { prompts, plain, results })
  expect(row.meanAcceptedLength.value).toBeCloseTo((8 + 40 + 6) / 20, 12)
  expect(row.withoutLoops).toBeCloseTo((8 + 6) / 10, 12)
  expect(row.byTask).toEqual({ code: 48 / 14, talk: 1 })
  expect(row).toMatchObject({ identical: 2, drafted: 3, draftPasses: 34 / 20, published: 2.31 })
  expect(row.byPosition).toEqual([12 / 20, 12 / 20, 10 / 20])
  const { low, high, value } = row.meanAcceptedLength
  expect(low).toBeLessThan(value)
  expect(high).toBeGreaterThan(value)
})

describe("settings", () => {
  test("a line each", () => {
    const text = '{"method":"a","setting":"s","options":{"nodes":3},"part":"p"}\n\n{"method":"b","setting":"t"}\n'
    expect(readDraftSettings(text, "f")).toEqual([
      { method: "a", setting: "s", options: { nodes: 3 }, part: "p" },
      { method: "b", setting: "t" },
    ])
  })

  test.each(['{"method":"a"}', '{"method":"a","setting":"s","option":{}}', "[]", "{"])("%s is none", (line) => {
    const text = `{"method":"a","setting":"s"}\n${line}`
    expect(() => readDraftSettings(text, "f")).toThrow(/f: line 2 is no setting/)
  })
})

describe("of a tiny model", () => {
  const tiny = makeTinyFolder()
  let parts: string | undefined
  afterAll(() => {
    tiny.remove()
    if (parts !== undefined) rmSync(parts, { recursive: true, force: true })
  })

  test("answers are plain decoding's whatever is drafted, greedy and drawn; floors come along", async () => {
    parts = await writeRandomParts(tiny.path)
    const prompts = ["ab", "bca"].map((text, id) => ({ id, category: text, prompt: { text } }))
    const settings = [
      { method: "eagle", setting: "line", options: { tree: "chain", depth: 3, size: "fixed" } },
      { method: "medusa", setting: "line", options: { tree: "chain", nodes: 3 }, part: join(parts, "medusa") },
      { method: "hidden-transfer", setting: "line", options: { tree: "chain", nodes: 3 } },
      { method: "auto", setting: "tree", options: { treeSize: 7, size: "fixed", layer: true } },
    ]
    const common = {
      model: tiny.path,
      weights: "f32",
      threads: 1,
      part: parts,
      settings,
      prompts,
      maxTokens: 12,
    } as const
    for (const temperature of [0, 0.9]) {
      const record = await measureDrafts({ ...common, temperature, training: [[5, 6, 7, 8]] })
      expect(record.prompts).toEqual({ ab: 1, bca: 1 })
      const own = record.rows.filter(({ identical }) => identical !== undefined)
      expect(own.map(({ method }) => method).sort()).toEqual(["auto", "eagle", "hidden-transfer", "medusa"])
      for (const { identical, byTask } of own) expect([identical, Object.keys(byTask)]).toEqual([2, ["ab", "bca"]])
      for (const { method, drafted } of own) if (method !== "auto") expect(drafted).toBeLessThanOrEqual(3) // a line, not a tree
      expect(record.rows.filter(({ identical }) => identical === undefined)).toHaveLength(6)
      expect(draftsTable([record]).rows).toHaveLength(record.rows.length)
    }
    await expect(
      measureDrafts({ ...common, settings: [{ method: "eagle", setting: "s", options: { tre: 1 } }] }),
    ).rejects.toMatchObject({ code: "E_OPTION" })
  }, 120_000)

  test("of two records the newer row counts", async () => {
    const settings = [{ method: "auto", setting: "s" }]
    const prompts = [{ id: 1, prompt: { text: "ab" } }]
    const record = await measureDrafts({
      model: tiny.path,
      weights: "f32",
      threads: 1,
      settings,
      prompts,
      maxTokens: 4,
    })
    const newer = { ...record, date: "2999-01-01", rows: record.rows.map((row) => ({ ...row, draftPasses: 9 })) }
    for (const records of [
      [record, newer],
      [newer, record],
    ])
      expect(draftsTable(records).rows.map((row) => row.at(-3))).toEqual(["9.0"])
  }, 60_000)
})
