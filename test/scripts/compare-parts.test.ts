/** The table of trained parts. */
import { expect, test } from "vitest"
import { partsTable } from "../../scripts/compare-parts.ts"

test("a row for each part: options that differ within a recipe, and every metric", () => {
  const parts = [
    { method: "a", recipe: { layers: "5,5", steps: 10 }, metrics: { loss: 2.5, accuracy1: 0.25 } },
    { method: "a", recipe: { layers: "9,9", steps: 10 }, metrics: { loss: 2.25, accuracy1: 0.5 } },
    { method: "b", recipe: { heads: 3 }, metrics: { accuracy1: 0.125 } },
  ]
  expect(partsTable(parts)).toEqual({
    head: ["recipe", "options", "loss", "accuracy1"],
    rows: [
      ["a", "layers=5,5", "2.500", "0.250"],
      ["a", "layers=9,9", "2.250", "0.500"],
      ["b", "", "", "0.125"],
    ],
  })
})
