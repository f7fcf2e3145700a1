/** When a cost curve is read from the cache, replaced, or given without being kept. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, beforeEach, expect, test, vi } from "vitest"
import { tinyCheckpoint } from "../../test/support/tiny-model.ts"
import { cachedCostCurve } from "./cached-cost-curve.ts"
import type { CostCurve } from "./cost-curve.ts"
import type { ModelRunner } from "./pass.ts"

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "forerun-curve-"))
  vi.stubEnv("FORERUN_CACHE", folder)
})
afterEach(() => {
  vi.unstubAllEnvs()
  rmSync(folder, { recursive: true, force: true })
})

const setting = { weights: "q8", threads: 2, device: "cpu" }
const sizes = { hidden: 32, heads: 2, kvHeads: 1, headSize: 16, layers: 1, intermediate: 32, vocabulary: 40 }
const curve = (...milliseconds: number[]): CostCurve => ({ rows: [1, 2, 4], milliseconds, context: 64 })
const [quiet, later, loaded] = [curve(10, 11, 14), curve(9, 10, 12), curve(10, 21.3, 22)]

/** Gives these curves one after the other instead of measuring. */
function asking(...curves: CostCurve[]) {
  const left = [...curves]
  const measure = async () => left.shift()!
  const weights = join(folder, "weights") // the key is by content
  writeFileSync(weights, "content")
  const checkpoint = { ...tinyCheckpoint({ family: "llama", seed: 8, ...sizes }), files: [weights] }
  const ask = (fresh = false) => cachedCostCurve({} as ModelRunner, checkpoint, setting, { fresh, measure })
  return { ask, left }
}

test("measured once, then read; measured again when a fresh one is asked for, which replaces it", async () => {
  const { ask, left } = asking(quiet, later)
  expect([await ask(), await ask()]).toEqual([quiet, quiet])
  expect(left).toEqual([later])
  expect(await ask(true)).toEqual(later)
  expect(await ask()).toEqual(later)
})

test("one that cannot be true is measured again, and never kept", async () => {
  const { ask, left } = asking(loaded, quiet)
  expect(await ask()).toEqual(quiet)
  expect(left).toEqual([])
  const bad = asking(loaded, loaded, loaded, later)
  expect(await bad.ask(true)).toEqual(loaded)
  expect(await bad.ask()).toEqual(quiet) // the one before stays
  expect(bad.left).toEqual([later])
})
