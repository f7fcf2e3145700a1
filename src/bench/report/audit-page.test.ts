/** The audit's page: hostile text stays text, and what a reader needs is on it. */
import { expect, test } from "vitest"
import { auditReport } from "../../methods/token-forcing/report.ts"
import { meanInterval } from "../statistics.ts"
import { auditPage } from "./audit-page.ts"

test("text from a model cannot become markup or rearrange the page", () => {
  const hostile = '<img src=x onerror="alert(1)">\u202e\u0007'
  const kept = [{ token: 3, score: 0.99, generated: [4], probs: [0.99] }]
  const target = { scores: new Map([[3, 0.99]]), kept, expanded: [] }
  const attacks = [{ prefix: hostile, greedy: hostile, rollout: "fine" }]
  const report = auditReport({ target, attacks, secret: "fine", textOf: () => hostile })
  const facts = { model: "<script>m</script>", weights: "q8", threshold: 0.95, date: "2026-01-01T00:00:00Z" }
  const page = auditPage(report, facts)
  expect(page).not.toMatch(/<img|<script|onerror="/)
  expect(page.includes("\u202e") || page.includes("\u0007")).toBe(false)
  expect(page).toContain("U+202E")
  expect(page).toContain("leaks")
  expect(page).toContain("none: no control")
})

test("a mean's interval: 2, 4, 6 by hand; one value is its own", () => {
  const { mean, low, high } = meanInterval([2, 4, 6])
  expect(mean).toBe(4)
  expect(high - mean).toBeCloseTo((1.959963984540054 * 2) / Math.sqrt(3), 12)
  expect(mean - low).toBeCloseTo(high - mean, 12)
  expect(meanInterval([5])).toEqual({ mean: 5, low: 5, high: 5 })
})
