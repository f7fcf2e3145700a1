/** Result files and the tables made from them. */
import { mkdtempSync, readdirSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { expect, test } from "vitest"
import { machineSlug } from "./machine.ts"
import { readRecords, recordName, saveRecord } from "./record.ts"
import {
  concurrencyTable,
  costCurveTable,
  markdown,
  newest,
  percent,
  perplexityTable,
  provenance,
  speedTable,
} from "./tables.ts"
import { benchRecord, perplexityRecord, profileRecord, records, startUpRecord } from "./test-records.ts"
import type { BenchResult } from "./types.ts"

test("names say date, machine and what was measured", () => {
  expect(records.map(recordName)).toEqual([
    expect.stringMatching(
      /^2026-01-02-test-co-2-cores-bench-tiny-model-q8-2-threads-medusa-writing-coding-64-tokens-beside-llama.cpp-128-2048-10-repetitions-[0-9a-f]{6}\.json$/,
    ),
    "2026-01-02-test-co-2-cores-perplexity-tiny-model-valid.txt.json",
    "2026-01-02-test-co-2-cores-start-up-tiny-model-2-threads.json",
    "2026-01-02-test-co-2-cores-profile-tiny-model-q8-2-threads.json",
    "2026-01-02-test-co-2-cores-concurrency-tiny-model-q8-2-threads.json",
  ])
  expect(machineSlug({ cpu: "Intel Xeon CPU @ 2.20GHz", cores: 4 })).toBe("xeon-4-cores")
})

test("names of different measurements differ, also where names are too many to be read", () => {
  const { rows } = benchRecord
  const four = ["writing", "coding", "summaries", "edit"]
  const tasks = (names: readonly string[]) => names.map((category) => ({ ...rows[0]!, category }))
  const variants: readonly BenchResult[] = [
    benchRecord,
    { ...benchRecord, weights: "f32" },
    { ...benchRecord, threads: 1 },
    { ...benchRecord, maxTokens: 128 },
    { ...benchRecord, repetitions: 1 },
    { ...benchRecord, rows: rows.map((row) => ({ ...row, method: `${row.method}-2` })) },
    { ...benchRecord, rows: tasks(four) },
    { ...benchRecord, rows: tasks([...four.slice(1), "other"]) },
    { ...benchRecord, peers: [] },
    { ...benchRecord, peers: [], rows: [] },
    { ...benchRecord, date: "2026-01-03T00:00:00.000Z" },
  ]
  const names = variants.map(recordName)
  expect(new Set(names).size).toBe(variants.length)
  expect(names[6]).toContain("-4-tasks-")
  expect(names[9]).toContain("-cost-curve-")
})

test("a record of the same name is not replaced; a named file is", async () => {
  const folder = mkdtempSync(join(tmpdir(), "forerun-results-"))
  const again = { ...benchRecord, date: "2026-01-02T05:00:00.000Z" }
  const paths = []
  for (const record of [benchRecord, again, benchRecord]) paths.push(await saveRecord(record, { folder }))
  expect(new Set(paths).size).toBe(3)
  expect(paths[2]).toMatch(/-3\.json$/)
  expect((await readRecords(folder)).map(({ date }) => date)).toEqual([benchRecord.date, benchRecord.date, again.date])
  for (const record of [benchRecord, again]) await saveRecord(record, { file: paths[0]! })
  expect(await readRecords(folder)).toHaveLength(3)
})

test("records come back as they were saved, oldest first", async () => {
  const folder = mkdtempSync(join(tmpdir(), "forerun-results-"))
  const later = { ...benchRecord, date: "2026-02-01T00:00:00.000Z", threads: 1 }
  for (const record of [later, ...records]) await saveRecord(record, { folder: join(folder, "deep", "er") })
  const read = await readRecords(join(folder, "deep", "er"))
  expect(read).toHaveLength(6)
  expect(read.at(-1)).toMatchObject({ date: later.date, threads: 1 })
  expect(read).toContainEqual(startUpRecord)
  expect(readdirSync(join(folder, "deep", "er")).filter((name) => !name.endsWith(".json"))).toEqual([])
  expect(await readRecords(join(folder, "nowhere"))).toEqual([])
  writeFileSync(join(folder, "other.json"), "[1]")
  await expect(readRecords(folder)).rejects.toMatchObject({ code: "E_IO" })
})

test("the newest record of the same thing counts", () => {
  const old = { ...benchRecord, date: "2025-01-01T00:00:00.000Z", peers: [] }
  const other = { ...benchRecord, threads: 1 }
  expect(newest([benchRecord, old, other], "bench").map(({ threads, date }) => [threads, date.slice(0, 4)])).toEqual([
    [1, "2026"],
    [2, "2026"],
  ])
  expect(newest(records, "profile")).toEqual([profileRecord])
})

test("tables hold what the records say", () => {
  expect(speedTable(records).rows).toEqual([
    ["q8", "2", "decoding after 128 tokens", "120", "80.0", "1.50 (1.35 to 1.65)"],
    ["q8", "2", "decoding after 2048 tokens", "60.0", "50.0", "1.20 (1.08 to 1.32)"],
    ["q8", "2", "reading 512 tokens", "425", "250", "1.70 (1.53 to 1.87)"],
  ])
  expect(perplexityTable([perplexityRecord]).rows.map((row) => row.slice(2))).toEqual([
    ["f32", "12.500", "–"],
    ["q8", "12.600", "+0.80 % (−9.28 % to +10.88 %)"],
  ])
  expect(costCurveTable(records).rows).toEqual([["q8", "2", "10.0", "1.00", "1.10", "1.40", "2.00", "3.40", "6.00"]])
  expect(concurrencyTable(records).rows).toEqual([
    ["q8", "2", "1", "50.0", "1.00 ×", "50.0", "1.00 ×"],
    ["q8", "2", "16", "200.0", "4.00 ×", "250.0", "5.00 ×"],
  ])
  expect(provenance([benchRecord, perplexityRecord])).toMatch(/^Test .*2026-01-02, commit 0123456789ab$/)
  expect(percent(0.995)).toBe("−0.50 %")
})

test("markdown tables are as wide as their head, and cells cannot break out", () => {
  const lines = markdown({ head: ["a", "b"], rows: [["1|2", "3"]] }).split("\n")
  expect(lines).toEqual(["| a | b |", "|---|---|", "| 1\\|2 | 3 |"])
})
