/** Passes and caches of the public interface: what CONTRACT.md promises, across the thread. */
import { afterAll, beforeAll, expect, test } from "vitest"
import { loadModel, type Model } from "../../src/index.ts"
import { differingBits } from "../support/bit-exact.ts"
import { makeTinyFolder, type TinyFolder } from "../support/tiny-folder.ts"
import { openRunner, range } from "../support/tiny-runner.ts"

let folder: TinyFolder
let model: Model
const tokens = Int32Array.of(5, 90, 200, 41, 41, 7)
const typed = (code: string) => expect.objectContaining({ name: "ForerunError", code })

beforeAll(async () => {
  folder = makeTinyFolder({ family: "gemma3_text", window: 4 })
  model = await loadModel(folder.path, { weights: "f32", threads: 1 })
})
afterAll(async () => {
  await model.dispose()
  folder.remove()
})

test("logits and hidden states are a local runner's, bit for bit", async () => {
  const want = { logits: "all" as const, hidden: [0, 1, 2, "final" as const] }
  const pass = { input: { tokens }, positions: Int32Array.from(range(6)), mask: "causal" as const, want }
  const { runner, dispose } = await openRunner(folder.path)
  const [remote, local] = [await model.forward(pass), await runner.forward(pass)]
  expect([remote.logits!.rows, remote.logits!.columns]).toEqual([6, model.info.config.vocabulary])
  expect(differingBits(remote.logits!.data, local.logits!.data)).toBe(0)
  expect([...remote.hidden.keys()]).toEqual([0, 1, 2, "final"])
  for (const layer of want.hidden)
    expect(differingBits(remote.hidden.get(layer)!.data, local.hidden.get(layer)!.data)).toBe(0)
  await dispose()
})

test("caches: keep, fork, rewind, length", async () => {
  const whole = await model.forward({ input: { tokens }, want: { logits: "all" } })
  const row = (data: Float32Array, index: number) =>
    data.subarray(index * whole.logits!.columns).subarray(0, whole.logits!.columns)
  const cache = await model.openCache()
  const pass = await model.forward({ input: { tokens: tokens.subarray(0, 4) }, cache })
  expect(cache.length).toBe(0)
  await pass.keep([0, 1, 2, 3])
  expect(cache.length).toBe(4)
  const fork = await cache.fork()
  await cache.rewind(2)
  expect([cache.length, fork.length]).toEqual([2, 4])
  for (const [held, from] of [
    [cache, 2],
    [fork, 4],
  ] as const) {
    const next = await model.forward({
      input: { tokens: tokens.subarray(from, from + 1) },
      cache: held,
      want: { logits: "last" },
    })
    expect(differingBits(next.logits!.data, row(whole.logits!.data, from))).toBe(0)
  }
  await fork.dispose()
  await expect(model.forward({ input: { tokens }, cache: fork })).rejects.toEqual(typed("E_DISPOSED"))
  await expect(fork.fork()).rejects.toEqual(typed("E_DISPOSED"))
  expect(cache.length).toBe(2)
  await cache.dispose()
})

test("keep without a cache, and twice, is E_INPUT", async () => {
  const free = await model.forward({ input: { tokens } })
  await expect(free.keep([0])).rejects.toEqual(typed("E_INPUT"))
  const cache = await model.openCache()
  const pass = await model.forward({ input: { tokens }, cache })
  await expect(pass.keep([9])).rejects.toEqual(typed("E_INPUT"))
  expect(cache.length).toBe(0)
  await pass.keep([0])
  await expect(pass.keep([0])).rejects.toEqual(typed("E_INPUT"))
  expect(cache.length).toBe(1)
  await cache.dispose()
})

test("layer spans from tokens, embeddings and hidden states", async () => {
  const whole = await model.forward({ input: { tokens }, want: { logits: "last", hidden: [0, 1] } })
  const embeddings = whole.hidden.get(0)!.data
  const again = await model.forward({ input: { embeddings }, want: { logits: "last" } })
  expect(differingBits(again.logits!.data, whole.logits!.data)).toBe(0)
  const hidden = whole.hidden.get(1)!.data
  const resumed = await model.forward({ input: { hidden }, layers: [1, 2], want: { logits: "last" } })
  expect(differingBits(resumed.logits!.data, whole.logits!.data)).toBe(0)
})

test("the ledger counts what passes cost", async () => {
  const before = await model.ledger()
  await model.forward({ input: { tokens }, want: { logits: [1, 5] } })
  const after = await model.ledger()
  expect([after.passes - before.passes, after.rows - before.rows, after.logitRows - before.logitRows]).toEqual([
    1, 6, 2,
  ])
  expect(after.layerRows - before.layerRows).toBe(6 * 2)
  expect(after.bytes - before.bytes).toBeGreaterThanOrEqual(2 * model.info.config.vocabulary * 4)
})
