/** The cost curve between and beyond what was measured, the ledger's sums, and a measurement on a tiny model. */
import { expect, test } from "vitest"
import { tinyCheckpoint } from "../../test/support/tiny-model.ts"
import { isPlausible, measureCostCurve, relativeCost } from "./cost-curve.ts"
import { Ledger } from "./ledger.ts"
import { loadRunner } from "./load-runner.ts"

test("relative cost is linear between sizes and goes on beyond the last", () => {
  const curve = { rows: [1, 2, 4, 8], milliseconds: [10, 12, 14, 30], context: 64 }
  expect([1, 2, 3, 4, 6, 8, 10].map((rows) => relativeCost(curve, rows))).toEqual(
    [1, 1.2, 1.3, 1.4, 2.2, 3, 3.8].map((cost) => expect.closeTo(cost, 9)),
  )
})

test("a curve is plausible when more rows cost more, and never more than passes of one row each", () => {
  const curve = (...milliseconds: number[]) => ({ rows: [1, 2, 4, 8], milliseconds, context: 64 })
  const sound = [
    [10, 11, 14, 20],
    [10, 9.5, 14, 13.9], // within noise
    [10, 17, 17, 17],
    [10, 17, 38, 79], // as dear as single rows
  ]
  expect(sound.map((times) => isPlausible(curve(...times)))).toEqual([true, true, true, true])
  const spoilt = [
    [10, 21.3, 22, 24], // jumps at 2 rows, as one measured beside other programs did
    [20, 11, 14, 20], // the single row met a slow spell
    [10, 11, 30, 20],
    [10, 11, 14, 100],
  ]
  expect(spoilt.map((times) => isPlausible(curve(...times)))).toEqual([false, false, false, false])
})

test("the ledger adds up and takes differences", () => {
  const ledger = new Ledger()
  ledger.record({ rows: 3, layers: 4, logitRows: 1, bytes: 100, milliseconds: 2 })
  const before = ledger.totals()
  ledger.record({ rows: 1, layers: 2, logitRows: 0, bytes: 50, milliseconds: 1, way: [0.125, 0.125] })
  ledger.record({ rows: 2, layers: 4, logitRows: 2, bytes: 70, milliseconds: 0.5 })
  expect(ledger.since(before)).toEqual({
    passes: 2,
    rows: 3,
    layerRows: 10,
    logitRows: 2,
    bytes: 120,
    milliseconds: 1.5,
    transferMilliseconds: 0.25,
  })
  expect(before).toEqual({
    passes: 1,
    rows: 3,
    layerRows: 12,
    logitRows: 1,
    bytes: 100,
    milliseconds: 2,
    transferMilliseconds: 0,
  })
})

test("measuring runs every size so often, and stops when aborted", async () => {
  const sizes = { hidden: 32, heads: 2, kvHeads: 1, headSize: 16, layers: 1, intermediate: 32, vocabulary: 40 }
  const runner = await loadRunner(tinyCheckpoint({ family: "llama", seed: 8, ...sizes }), {
    weights: "f32",
    threads: 1,
    device: "cpu",
  })
  const curve = await measureCostCurve(runner, { rows: [1, 3, 9], context: 20, repetitions: 2 })
  expect(curve).toMatchObject({ rows: [1, 3, 9], context: 20 })
  expect(curve.milliseconds.every((time) => time > 0)).toBe(true)
  const { passes, rows } = runner.ledger.totals()
  expect([passes, rows]).toEqual([1 + 3 * 3, 20 + 3 * 13]) // a warm-up round first
  await expect(measureCostCurve(runner, { signal: AbortSignal.abort() })).rejects.toThrow(/abort/i)
  await runner.dispose()
})
