/** The head in units of a layer, from sizes and from times. */
import { expect, test } from "vitest"
import { headCostBySize, timedHeadCost } from "./head-cost.ts"
import { Ledger } from "./ledger.ts"

const llama = (hidden: number, intermediate: number, [heads, kvHeads]: [number, number], vocabulary: number) =>
  headCostBySize({ hidden, intermediate, vocabulary, heads, kvHeads, headSize: hidden / heads })

test("by size: the heads of the models that DEL was published with, and SmolLM2's", () => {
  expect(llama(2048, 8192, [32, 8], 128256)).toBeCloseTo(4.32, 2) // Llama-3.2-1B
  expect(llama(4096, 14336, [32, 8], 128256)).toBeCloseTo(2.41, 2) // Llama-3-8B
  expect(llama(4096, 11008, [32, 32], 32000)).toBeCloseTo(0.65, 2) // Llama-2-7B
  expect(llama(576, 1536, [9, 3], 49152)).toBeCloseTo(8, 1) // SmolLM2-135M
})

const seen = (passes: readonly (readonly [layers: number, milliseconds: number])[]) => {
  const ledger = new Ledger()
  for (const [layers, milliseconds] of passes)
    for (let i = 0; i < 3; i++) ledger.record({ rows: 1, layers, logitRows: 1, bytes: 0, milliseconds })
  return ledger
}

test("by time: what no layer accounts for", () => {
  // 2 ms a layer, 7 ms for the head and the pass itself.
  expect(
    timedHeadCost(
      seen([
        [4, 15],
        [10, 27],
        [30, 67],
      ]),
    ),
  ).toBeCloseTo(3.5, 12)
})

test("by time: no statement from one depth, from nothing, or from times that fall with depth", () => {
  expect(timedHeadCost(new Ledger())).toBeUndefined()
  expect(timedHeadCost(seen([[30, 67]]))).toBeUndefined()
  expect(
    timedHeadCost(
      seen([
        [4, 70],
        [30, 67],
      ]),
    ),
  ).toBeUndefined()
  const few = seen([[30, 67]])
  few.record({ rows: 1, layers: 4, logitRows: 1, bytes: 0, milliseconds: 15 })
  expect(timedHeadCost(few)).toBeUndefined()
})

test("a graph that takes another's place is timed anew", () => {
  const ledger = seen([
    [4, 15],
    [30, 67],
  ])
  expect(ledger.depths()).toEqual([4, 30])
  ledger.forgetTimes()
  expect(timedHeadCost(ledger)).toBeUndefined()
})
