/** The table writer on documents and records of its own. */
import { expect, test } from "vitest"
import { plannedMethods } from "../../scripts/planned-methods.ts"
import { fillRegions, makeRegions, methodsTable } from "../../scripts/write-tables.ts"
import { records } from "../../src/bench/test-records.ts"
import { loadMethod, methodNames } from "../../src/methods/index.ts"

const document = `# Title
<!-- generated:speed -->
old | text
<!-- /generated -->
between
<!-- generated:methods --><!-- /generated -->
end`

test("fills regions, keeps everything else, and finds nothing more to do the second time", async () => {
  const regions = await makeRegions(records)
  const filled = fillRegions(document, regions)
  expect(filled).toContain("| q8 | 2 | decoding after 128 tokens | 120 | 80.0 | 1.50 (1.35 to 1.65) |")
  expect(filled).not.toContain("old | text")
  expect(filled).toMatch(/^# Title\n[\s\S]*\nbetween\n[\s\S]*\nend$/)
  expect(fillRegions(filled, regions)).toBe(filled)
})

test("a name nobody writes and markers that do not pair are errors", async () => {
  const regions = await makeRegions([])
  expect(() => fillRegions("<!-- generated:weather --><!-- /generated -->", regions)).toThrow(/weather/)
  expect(() => fillRegions("<!-- generated:speed -->", regions)).toThrow(/pair/)
  expect(() => fillRegions("<!-- /generated -->", regions)).toThrow(/pair/)
  expect(() => fillRegions("<!-- generated:speed --><!-- generated:methods --><!-- /generated -->", regions)).toThrow(
    /pair/,
  )
})

test("without records the tables say so", async () => {
  const regions = await makeRegions([])
  const measured = [
    "acceptance",
    "audit",
    "certificates",
    "concurrency",
    "cost-curve",
    "exit-adaptation",
    "exit-agreement",
    "exit-costs",
    "exit-sweep",
    "exit-tasks",
    "exit-timed",
    "hidden-text",
    "job",
    "drafts",
    "load",
    "method-speed",
    "perplexity",
    "placement",
    "placement-choices",
    "profile",
    "race",
    "race-lengths",
    "rank",
    "rank-sweep",
    "reliability",
    "speed",
    "stopping",
    "stopping-gains",
  ]
  expect(Object.keys(regions).sort()).toEqual([...measured, "start-up", "methods", "weights", "tiny-models"].sort())
  for (const name of measured) expect(regions[name]).toBe("Not measured yet.")
})

test("methods of the registry work today, the others are planned, each once, with its paper", async () => {
  const { head, rows } = methodsTable(await Promise.all(methodNames.map(loadMethod)))
  const names = rows.map(([name]) => name!.replaceAll("`", ""))
  expect(new Set(names).size).toBe(names.length)
  expect(names).toEqual(expect.arrayContaining(["autoregressive", "medusa", "peak-performance"]))
  expect(names.length).toBeGreaterThanOrEqual(21) // eighteen papers, three baselines, methods without a paper
  for (const row of rows) expect(row).toHaveLength(head.length)
  for (const [name, today] of rows) expect(today === "planned").toBe(!methodNames.includes(name!.replaceAll("`", "")))
  for (const { paper } of plannedMethods) expect(paper.arxiv).toMatch(/^\d{4}\.\d{5}$/)
})

test("a planned method that has come is no longer on the list", () => {
  expect(plannedMethods.filter(({ name }) => methodNames.includes(name))).toEqual([])
})
