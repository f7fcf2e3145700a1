/** Result files and the tables made from them. */
import { mkdtempSync, readdirSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { expect, test } from "vitest"
import { machineSlug } from "./machine.ts"
import { readRecords, recordName, saveRecord } from "./record.ts"
import { costCurveTable, markdown, newest, percent, perplexityTable, provenance, speedTable } from "./tables.ts"
import { benchRecord, perplexityRecord, profileRecord, records, startUpRecord } from "./test-records.ts"

test("names say date, machine and what was measured", () => {
  expect(records.map(recordName)).toEqual([
    "2026-01-02-test-co-2-cores-bench-tiny-model-q8-2-threads.json",
    "2026-01-02-test-co-2-cores-perplexity-tiny-model-valid.txt.json",
    "2026-01-02-test-co-2-cores-start-up-tiny-model-2-threads.json",
    "2026-01-02-test-co-2-cores-profile-tiny-model-q8-2-threads.json",
  ])
  expect(machineSlug({ cpu: "Intel Xeon CPU @ 2.20GHz", cores: 4 })).toBe("xeon-4-cores")
})

test("records come back as they were saved, oldest first", async () => {
  const folder = mkdtempSync(join(tmpdir(), "forerun-results-"))
  const later = { ...benchRecord, date: "2026-02-01T00:00:00.000Z", threads: 1 }
  for (const record of [later, ...records]) await saveRecord(record, { folder: join(folder, "deep", "er") })
  const read = await readRecords(join(folder, "deep", "er"))
  expect(read).toHaveLength(5)
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
  expect(provenance([benchRecord, perplexityRecord])).toMatch(/^Test .*2026-01-02, commit 0123456789ab$/)
  expect(percent(0.995)).toBe("−0.50 %")
})

test("markdown tables are as wide as their head, and cells cannot break out", () => {
  const lines = markdown({ head: ["a", "b"], rows: [["1|2", "3"]] }).split("\n")
  expect(lines).toEqual(["| a | b |", "|---|---|", "| 1\\|2 | 3 |"])
})
