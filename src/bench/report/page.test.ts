/** The report: well-formed, self-contained, and it shows what the records hold. */
import { mkdtempSync, readFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { expect, test } from "vitest"
import { ticks } from "../../base/svg.ts"
import { benchRecord, records } from "../test-records.ts"
import { lineChart } from "./charts.ts"
import { reportPage, writeReport } from "./page.ts"

/** Every tag closes, in order; returns the element names met. */
function wellFormed(html: string): string[] {
  const open: string[] = []
  const met: string[] = []
  const body = html.replace(/^<!doctype html>/, "").replace(/<style>[\s\S]*?<\/style>/, "")
  for (const [, close, name, rest] of body.matchAll(/<(\/?)([a-z][a-z0-9]*)((?:"[^"]*"|[^">])*)>/g)) {
    if (close) expect(open.pop()).toBe(name)
    else {
      met.push(name!)
      if (!rest!.endsWith("/")) open.push(name!)
      expect(rest).toMatch(/^(\s+[\w:-]+="[^"<]*")*\s*\/?$/)
    }
  }
  expect(open).toEqual([])
  return met
}

test("is well-formed and holds a chart for each kind of record", () => {
  const page = reportPage(records)
  const met = wellFormed(page)
  expect(met.filter((name) => name === "svg")).toHaveLength(10)
  for (const words of [
    "1.50×",
    "reading 512",
    "medusa",
    "coding",
    "+0.80 %",
    "0.88 s",
    "18 % (at most 22 %)",
    "2.31 (Medusa-1)",
    "predicted 1.80×",
    "0123456789ab",
  ])
    expect(page).toContain(words)
})

test("long drafts are counted together, so that the columns stay readable", () => {
  const long = Array.from({ length: 40 }, (_, i) => 40 - i)
  const rows = benchRecord.rows.map((row) =>
    row.speculation ? { ...row, speculation: { ...row.speculation, rounds: 820, histogram: long } } : row,
  )
  const page = reportPage([{ ...benchRecord, rows }])
  expect(page).toContain("10 or more")
  expect(page).toContain("medusa, 10: 57 %") // 465 of 820
  expect(page).not.toContain("medusa, 11:")
})

test("loads nothing and runs nothing", () => {
  const page = reportPage(records)
  expect(page).not.toMatch(/<(script|link|img|iframe|object|use|image)\b|@import|url\(|\b(src|href)=|https?:/)
})

test("text from records is text", () => {
  const page = reportPage(records)
  expect(page).toContain("Test &#60;CPU&#62; &#38; Co")
  expect(page).not.toContain("<CPU>")
})

test("numbers in pictures are numbers, also without records or with a single point", () => {
  for (const page of [
    reportPage(records),
    reportPage([]),
    lineChart("one", [{ label: "q8", points: [[1, 1]] }], { x: "rows", y: "cost" }),
  ])
    expect(page).not.toMatch(/NaN|Infinity|undefined/)
})

test("ticks are round and cover the range", () => {
  expect(ticks(0, 6)).toEqual([0, 2, 4, 6])
  expect(ticks(0.98, 1.52)).toEqual([0.8, 1, 1.2, 1.4, 1.6])
  expect(ticks(1, 1)[0]).toBeLessThanOrEqual(1)
})

test("is written into a folder that need not be there", async () => {
  const folder = join(mkdtempSync(join(tmpdir(), "forerun-report-")), "a", "b")
  const path = await writeReport(records, folder)
  expect(readFileSync(path, "utf8")).toBe(reportPage(records))
})
