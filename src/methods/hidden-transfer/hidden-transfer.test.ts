/** The method contract with random maps, non-interference, and that both forms come to the same. */
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { methodContract } from "../../../test/method-contract.ts"
import { runMethod, watched } from "../../../test/support/method-harness.ts"
import { openTestPart } from "../../../test/support/test-part.ts"
import { type TinyModel, tinyCheckpoint } from "../../../test/support/tiny-model.ts"
import { cacheOf, maxDifference, rowOf } from "../../../test/support/tiny-runner.ts"
import type { Step } from "../../decoding/step.ts"
import { loadRunner } from "../../runtime/load-runner.ts"
import type { SessionRunner } from "../../runtime/model-runner.ts"
import type { ForwardPass, ModelRunner } from "../../runtime/pass.ts"
import { createFusedPass } from "./fused-pass.ts"
import { hiddenTransfer } from "./hidden-transfer.ts"
import { randomMaps } from "./test-transfer.ts"
import { lazyStates } from "./transfer-drafter.ts"
import type { TransferPart } from "./transfer-part.ts"

methodContract(hiddenTransfer, {
  optionSets: [{ nodes: 6 }, { form: "fused", nodes: 4 }, { policy: "cost", depth: 2 }],
  part: (target) => randomMaps(target, [1, 1, 1]),
})

const tiny: TinyModel = {
  family: "llama",
  seed: 91,
  hidden: 32,
  heads: 4,
  kvHeads: 2,
  headSize: 8,
  layers: 6,
  intermediate: 48,
  vocabulary: 61,
  context: 300,
}
const signal = new AbortController().signal
const prompt = Array.from({ length: 40 }, (_, i) => (i * 7) % tiny.vocabulary)

/** A tree of six rows below 40 cached ones: two lines and a branch. */
const parents = Int32Array.of(-1, 0, 1, 0, 3, 1)
const tree = (cache: ForwardPass["cache"]): ForwardPass => ({
  input: { tokens: Int32Array.of(5, 9, 13, 9, 2, 44) },
  ...(cache ? { cache } : {}),
  positions: Int32Array.of(40, 41, 42, 41, 42, 42),
  mask: { parents },
  want: { logits: "all", hidden: [] },
})

describe.each([[[2, 2, 2]], [[2, 2, 4]], [[1, 3, 4]]])("pseudo rows after layers %o", (layers) => {
  let target: SessionRunner
  let part: TransferPart
  beforeAll(async () => {
    const checkpoint = tinyCheckpoint(tiny)
    target = await loadRunner(checkpoint, { weights: "f32", threads: 1, device: "cpu" })
    part = (await openTestPart(hiddenTransfer, checkpoint, (model) => randomMaps(model, layers))) as TransferPart
  })
  afterAll(async () => {
    await part.dispose()
    await target.dispose()
  })

  test("real rows have the bits of a pass without them, and leave the same cache", async () => {
    const [alone, beside] = [await cacheOf(target, prompt), await cacheOf(target, prompt)]
    const plain = await target.forward({ ...tree(alone), want: { logits: "all", hidden: [...new Set(layers)] } })
    const fused = (await createFusedPass({ target, part, signal }).verify(tree(beside)))!
    expect(fused.logits).toEqual(plain.logits)
    expect(fused.hidden).toEqual(plain.hidden)
    for (const pass of [plain, fused]) pass.keep([0, 1, 5])
    expect([...beside.lengths]).toEqual(new Array(tiny.layers).fill(43))
    for (let layer = 0; layer < tiny.layers; layer++) expect(beside.layer(layer)).toEqual(alone.layer(layer))
    expect(beside.positions).toEqual(alone.positions)
    for (const cache of [alone, beside]) cache.dispose()
  })

  test("fused: each row's pseudo rows come to the bits of the lazy form below that row", async () => {
    const cache = await cacheOf(target, prompt)
    const fused = createFusedPass({ target, part, signal })
    await fused.verify(tree(cache))
    for (const line of [[0], [0, 1, 2], [0, 3, 4], [0, 1, 5]]) {
      const own = cache.fork()
      const pass = await target.forward({ ...tree(own), want: { hidden: [...new Set(layers)] } })
      pass.keep(line)
      const anchor = part.stops.map(({ layer }) => {
        const { data, columns } = pass.hidden.get(layer)!
        return rowOf(data, line.at(-1)!, columns).slice()
      })
      const lazy = await lazyStates(anchor, { target, part, cache: own, steps: 3, signal })
      expect(lazy).toEqual(fused.finalStates(line.at(-1)!))
      // Fewer steps are the first of them: no step sees a later one.
      const two = await lazyStates(anchor, { target, part, cache: own, steps: 2, signal })
      expect(two).toEqual(lazy!.slice(0, 2 * tiny.hidden))
      own.dispose()
    }
    cache.dispose()
  })

  test("both forms draft the same trees and say the same", async () => {
    const run = async (form: string) =>
      runMethod(hiddenTransfer, { target }, { part, options: { form, nodes: 5 }, maxTokens: 60 })
    const [lazy, fused] = [await run("lazy"), await run("fused")]
    expect(drafts(fused.steps)).toEqual(drafts(lazy.steps))
    expect(fused.outcome).toEqual(lazy.outcome)
  })

  test("rows a round, by the ledger: the lazy form adds one anchor's, the fused form every row's", async () => {
    const [first, depth] = [layers[0]!, tiny.layers]
    const spent = async (form: string) => {
      const before = target.ledger.totals()
      const settings = { prompt: prompt.slice(0, 5), part, options: { form, nodes: 7 }, maxTokens: 30 }
      const { steps } = await runMethod(hiddenTransfer, { target }, settings)
      const { layerRows, passes } = target.ledger.since(before)
      return { layerRows, passes, trees: drafts(steps).map(({ tokens }) => tokens.length) }
    }
    const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0)
    const lazy = await spent("lazy")
    const verified = depth * (5 + sum(lazy.trees.map((nodes) => nodes + 1)))
    // Steps that a draft of the last tokens has no room for are not run.
    const most = sum(layers.map((layer) => depth - layer)) * lazy.trees.length
    expect(lazy.layerRows).toBeGreaterThan(verified + 0.8 * most)
    expect(lazy.layerRows).toBeLessThanOrEqual(verified + most)
    const fused = await spent("fused")
    expect(fused.trees).toEqual(lazy.trees)
    const beside = sum(fused.trees.map((nodes) => (nodes + 1) * sum(layers.map((layer) => depth - layer))))
    // The first draft follows the prompt, whose pass has no pseudo rows.
    expect(fused.layerRows).toBe(verified + beside + sum(layers.map((layer) => depth - layer)))
    expect(first).toBeGreaterThan(0)
  })
})

const drafts = (steps: readonly Step[]) => steps.flatMap((step) => (step.type === "draft-proposed" ? [step.tree] : []))

describe("what would be wrong is seen to be wrong", () => {
  let target: SessionRunner
  let part: TransferPart
  const layers = [2, 2, 2]
  beforeAll(async () => {
    const checkpoint = tinyCheckpoint(tiny)
    target = await loadRunner(checkpoint, { weights: "f32", threads: 1, device: "cpu" })
    part = (await openTestPart(hiddenTransfer, checkpoint, (model) => randomMaps(model, layers))) as TransferPart
  })
  afterAll(async () => {
    await part.dispose()
    await target.dispose()
  })

  /** The fused pass with its second span changed. */
  async function fusedWith(change: (pass: ForwardPass) => ForwardPass) {
    const cache = await cacheOf(target, prompt)
    const changed: ModelRunner = {
      config: target.config,
      abilities: target.abilities,
      ledger: target.ledger,
      openCache: () => target.openCache(),
      forward: (pass) => target.forward(pass.layers?.[0] === 2 ? change(pass) : pass),
    }
    const fused = createFusedPass({ target: changed, part, signal })
    const { logits } = (await fused.verify(tree(cache)))!
    cache.dispose()
    return { logits: logits!.data, states: Float32Array.from([0, 4].flatMap((row) => [...fused.finalStates(row)!])) }
  }

  test("real rows that see a pseudo row", async () => {
    const right = await fusedWith((pass) => pass)
    const leaking = await fusedWith((pass) => {
      const mask = pass.mask as { rows: number; columns: number; data: Uint8Array }
      const data = mask.data.slice()
      data[5 * mask.columns + 40 + 6] = 1 // the last real row sees the first pseudo row
      return { ...pass, mask: { ...mask, data } }
    })
    expect(maxDifference(leaking.logits, right.logits)).toBeGreaterThan(1e-3)
  })

  test("pseudo rows of different anchors that see each other", async () => {
    const right = await fusedWith((pass) => pass)
    const mixed = await fusedWith((pass) => {
      const mask = pass.mask as { rows: number; columns: number; data: Uint8Array }
      const data = mask.data.slice()
      for (let row = 6; row < mask.rows; row++) data.fill(1, row * mask.columns + 46, row * mask.columns + 40 + row + 1)
      return { ...pass, mask: { ...mask, data } }
    })
    expect(mixed.logits).toEqual(right.logits) // still no harm to the output
    expect(maxDifference(mixed.states, right.states)).toBeGreaterThan(1e-3)
  })

  test("pseudo rows at their anchor's own position", async () => {
    const right = await fusedWith((pass) => pass)
    const still = await fusedWith((pass) => ({
      ...pass,
      positions: Int32Array.from(pass.positions!, (_, row) => pass.positions![row % 6]!),
    }))
    expect(still.logits).toEqual(right.logits)
    expect(maxDifference(still.states, right.states)).toBeGreaterThan(1e-3)
  })
})

test("with no room for pseudo rows before the context's end, the text is the same", async () => {
  const checkpoint = tinyCheckpoint({ ...tiny, context: 64 })
  const target = await loadRunner(checkpoint, { weights: "f32", threads: 1, device: "cpu" })
  const part = await openTestPart(hiddenTransfer, checkpoint, (model) => randomMaps(model, [2, 2, 2]))
  const texts = []
  for (const options of [{ form: "lazy" }, { form: "fused" }, { form: "lazy", nodes: 1 }]) {
    const { outcome } = await runMethod(hiddenTransfer, { target }, { part, options, maxTokens: 59 })
    texts.push(outcome.tokens.map(({ id }) => id))
  }
  expect(texts[0]).toHaveLength(59)
  expect(texts[1]).toEqual(texts[0])
  expect(texts[2]).toEqual(texts[0])
  await part.dispose()
  await target.dispose()
})

test("drafts hold tokens of the drafted vocabulary only, and a part for other layers is refused", async () => {
  const checkpoint = tinyCheckpoint(tiny)
  const target = await loadRunner(checkpoint, { weights: "f32", threads: 1, device: "cpu" })
  const part = await openTestPart(hiddenTransfer, checkpoint, (model) => randomMaps(model, [3, 3]))
  const { steps } = await runMethod(hiddenTransfer, { target }, { part, maxTokens: 40 })
  const tokens = drafts(steps).flatMap((tree) => tree.tokens)
  expect(tokens.length).toBeGreaterThan(100)
  expect(tokens.filter((id) => id % 3 === 2)).toEqual([])
  for (const layers of [[0], [6], [3, 2], [2.5], []])
    await expect(openTestPart(hiddenTransfer, checkpoint, (model) => randomMaps(model, layers))).rejects.toMatchObject({
      code: "E_MODEL_FORMAT",
    })
  await part.dispose()
  await target.dispose()
})

test("policy cost: maps that guess badly are not asked for long", async () => {
  const checkpoint = tinyCheckpoint(tiny)
  const target = await loadRunner(checkpoint, { weights: "f32", threads: 1, device: "cpu" })
  const part = await openTestPart(hiddenTransfer, checkpoint, (model) => randomMaps(model, [2, 2, 2]))
  const spans = async (policy: string) => {
    const watch = watched(target)
    await runMethod(hiddenTransfer, { target: watch.runner }, { part, options: { policy }, maxTokens: 120 })
    return watch.passes.filter(({ layers }) => layers?.[0] === 2).length
  }
  expect(await spans("fixed")).toBeGreaterThan(50)
  const asked = await spans("cost")
  expect(asked).toBeGreaterThan(0)
  expect(asked).toBeLessThan(12)
  await part.dispose()
  await target.dispose()
})
