/** Training: the graph says what decoding says, fitted maps are the least squares, and a run from answers to drafts. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, expect, test } from "vitest"
import { openTestPart } from "../../../test/support/test-part.ts"
import { randomTokens, seeded, type TinyModel, tinyCheckpoint } from "../../../test/support/tiny-model.ts"
import { cacheOf, maxDifference, rowOf } from "../../../test/support/tiny-runner.ts"
import { Graph } from "../../graph/index.ts"
import { readPart } from "../../models/trained-part.ts"
import { openGraph } from "../../runtime/graph-runner.ts"
import { loadRunner } from "../../runtime/load-runner.ts"
import { createRandom } from "../../tensor/random.ts"
import { resolveSettings } from "../../train/settings.ts"
import { train } from "../../train/trainer.ts"
import { vocabularyTensor } from "../../train/vocabulary.ts"
import { hiddenTransfer } from "./hidden-transfer.ts"
import { mapName, offsetName, savedMaps } from "./maps.ts"
import { ridgeMap } from "./moments.ts"
import { type Pack, rowsOfPack, samplePseudoRows } from "./packs.ts"
import { transferStops } from "./pseudo-rows.ts"
import { packData, recipe } from "./train.ts"
import { lazyStates } from "./transfer-drafter.ts"
import { transferGraph } from "./transfer-graph.ts"
import type { TransferPart } from "./transfer-part.ts"

const tiny: TinyModel = {
  family: "llama",
  seed: 15,
  hidden: 32,
  heads: 4,
  kvHeads: 2,
  headSize: 8,
  layers: 4,
  intermediate: 48,
  vocabulary: 61,
}
const checkpoint = tinyCheckpoint(tiny)
const scratch = mkdtempSync(join(tmpdir(), "forerun-transfer-"))
afterAll(() => rmSync(scratch, { recursive: true, force: true }))

const noise = (seed: number, count: number, scale: number) => {
  const random = seeded(seed)
  return Float32Array.from({ length: count }, () => (random() - 0.5) * scale)
}

test.each([[[2, 2, 2]], [[1, 2, 3]]])(
  "after layers %o, training sees the states that decoding sees",
  async (layers) => {
    const [length, steps, hidden] = [40, 3, tiny.hidden]
    const stops = transferStops(layers, tiny.layers)
    const shape = { stops, steps, length, anchors: 5 }
    const pack: Pack = [
      { tokens: randomTokens(17, tiny.vocabulary, 1), answerFrom: 6 },
      { tokens: randomTokens(21, tiny.vocabulary, 2), answerFrom: 4 },
    ]
    const scales = stops.map((_, i) => noise(40 + i, hidden, 1).map((value) => 1.5 + value))
    const vocabulary = Int32Array.from({ length: 50 }, (_, i) => i + 3)
    const values = new Map<string, Float32Array>()
    for (let step = 1; step <= steps; step++) {
      values.set(mapName(step), noise(step, hidden * hidden, 0.4))
      values.set(offsetName(step), noise(10 + step, hidden, 0.4))
    }

    const batch = packData([pack], vocabulary, shape).batch([0], createRandom(7))
    const graph = new Graph()
    const parameters = [...values].map(([name, { length: size }]) =>
      graph.input(name, "float32", size === hidden ? [hidden] : [hidden, hidden]),
    )
    for (const [name, { type, shape: sizes }] of Object.entries(batch.tensors)) graph.input(name, type, sizes)
    const known = (name: string) => graph.values.get(name)!
    const inputs = { graph, parameter: known, batch: known }
    const { logits, teacher } = transferGraph(inputs, { target: checkpoint, scales, vocabulary, shape })
    graph.output("logits", logits)
    graph.output("teacher", teacher)
    const session = await openGraph(graph, { threads: 1 })
    const given = parameters.map(({ name, shape: sizes }) => {
      return [name, { type: "float32", shape: sizes as number[], data: values.get(name)! }] as const
    })
    const found = await session.run({ ...Object.fromEntries(given), ...batch.tensors }, ["logits", "teacher"])
    await session.dispose()

    const tensors = [...savedMaps(values, { layers, stops, scales }), vocabularyTensor(vocabulary)]
    const part = (await openTestPart(hiddenTransfer, checkpoint, () => ({
      tensors: new Map(tensors.map(({ name, ...tensor }) => [name, tensor])),
    }))) as TransferPart
    const target = await loadRunner(checkpoint, { weights: "f32", threads: 1, device: "cpu" })
    const rows = rowsOfPack(pack, length)
    const pseudo = samplePseudoRows(rows, { count: shape.anchors, steps }, createRandom(7))
    const softmaxed = (logit: Float32Array) => {
      const mass = logit.reduce((sum, value) => sum + Math.exp(value), 0)
      return Float32Array.from(vocabulary, (id) => Math.exp(logit[id]!) / mass)
    }
    for (const [i, anchor] of pseudo.anchors.entries()) {
      const start = rows.starts[anchor]!
      const before = await cacheOf(target, [...rows.tokens.subarray(start, anchor)])
      const pass = await target.forward({
        input: { tokens: rows.tokens.subarray(anchor, anchor + 1) },
        cache: before,
        want: { hidden: stops.map(({ layer }) => layer) },
      })
      pass.keep([0])
      const states = await lazyStates(
        stops.map(({ layer }) => pass.hidden.get(layer)!.data),
        { target, part, cache: before, steps, signal: new AbortController().signal },
      )
      const head = checkpoint.weights.float32("lm_head.weight")
      for (let step = 0; step < steps; step++) {
        const state = rowOf(states!, step, hidden)
        const expected = Float32Array.from(vocabulary, (id) =>
          state.reduce((sum, value, c) => sum + value * head[id * hidden + c]!, 0),
        )
        const row = step * shape.anchors + i
        expect(maxDifference(rowOf(found.logits!.data as Float32Array, row, 50), expected)).toBeLessThan(1e-3)
        if (pseudo.weights[row] === 0) continue
        const truth = await target.forward({
          input: { tokens: rows.tokens.slice(start, anchor + step + 2) },
          want: { logits: "last" },
        })
        const law = softmaxed(truth.logits!.data)
        const mass = law.reduce((sum, value) => sum + value, 0)
        const taught = rowOf(found.teacher!.data as Float32Array, row, 50)
        expect(
          maxDifference(
            taught,
            law.map((value) => value / mass),
          ),
        ).toBeLessThan(1e-4)
      }
      before.dispose()
    }
    await part.dispose()
    await target.dispose()
  },
)

test("fitted maps are the least squares: an exact linear law is found again", () => {
  const rows = 50
  const random = seeded(9)
  const law = [0.5, -2, 0, 1, 0.25, 3, 0, 0, -1]
  const shift = [10, -1, 0.5]
  const own = new Float64Array(16)
  const ahead = new Float64Array(12)
  for (let row = 0; row < rows; row++) {
    const x = [random() * 100, random(), random() - 0.5, 1]
    const y = shift.map(
      (value, out) => value + law[out * 3]! * x[0]! + law[out * 3 + 1]! * x[1]! + law[out * 3 + 2]! * x[2]!,
    )
    for (let i = 0; i < 4; i++) {
      for (let j = 0; j < 4; j++) own[i * 4 + j]! += x[i]! * x[j]!
      for (let j = 0; j < 3; j++) ahead[i * 3 + j]! += x[i]! * y[j]!
    }
  }
  const scales = Float32Array.of(60, 0.6, 0.3)
  const { map, offset } = ridgeMap({ rows, own, ahead: [ahead] }, 0, { scales, penalty: 1e-10 })
  const [weight, bias] = savedMaps(
    new Map([
      [mapName(1), map],
      [offsetName(1), offset],
    ]),
    { layers: [1], stops: transferStops([1], 2), scales: [scales] },
  )
  expect(maxDifference(weight!.values, law)).toBeLessThan(1e-3)
  expect(maxDifference(bias!.values, shift)).toBeLessThan(1e-2)
})

test("answers → maps: fitted maps begin below the identity, training goes on down, the part drafts", async () => {
  // What a random model says of a text is as good as what a trained one does of its own.
  const lines = Array.from({ length: 120 }, (_, id) => {
    const [prompt, answer] = [randomTokens(5, tiny.vocabulary, 100 + id), randomTokens(59, tiny.vocabulary, 900 + id)]
    return JSON.stringify({ id: `${id}`, source: "test", temperature: 0, seed: 0, prompt, answer })
  })
  const data = join(scratch, "answers.jsonl")
  writeFileSync(data, `${lines.join("\n")}\n`)

  const run = async (name: string, given: Record<string, unknown>) => {
    const sizes = { length: 64, anchors: 24, vocabulary: 61, batch: 2, accumulate: 1, measured: 90, validation: 0.15 }
    const settings = resolveSettings(recipe, { layers: "2,2", warmUp: 1, validateEvery: 40, ...sizes, ...given })
    const folder = join(scratch, name)
    const training = await recipe.prepare({
      target: checkpoint,
      tokenizer: undefined as never,
      options: settings.options,
      data: [data],
      folder,
      random: createRandom(3),
      threads: 1,
      signal: new AbortController().signal,
      note() {},
    })
    const sha256 = "0".repeat(64)
    return train({ recipe, training, ...settings, target: { sha256 }, folder, seed: 1, threads: 1 })
  }
  const identity = await run("identity", { start: "identity", steps: 1, learningRate: 0 })
  const fitted = await run("fitted", { start: "ridge", steps: 1, learningRate: 0 })
  expect(fitted.metric.value).toBeLessThan(identity.metric.value)
  const trained = await run("trained", { start: "ridge", steps: 40, learningRate: 3e-3 })
  expect(trained.metric.value).toBeLessThan(fitted.metric.value)

  const { tensors, record } = readPart(join(scratch, "trained"))
  const metrics = record.get("metrics") as Map<string, number>
  expect([...metrics.keys()].sort()).toEqual(["accuracy1", "accuracy2", "firstLoss", "lastLoss", "loss"])
  expect(metrics.get("loss")).toBe(trained.metric.value)
  const part = await openTestPart(hiddenTransfer, checkpoint, () => ({ tensors }))
  expect((part as TransferPart).stops).toEqual([{ layer: 2, next: 4, count: 2, before: 0 }])
  await part.dispose()
}, 120_000)

test("without answers, or with layers that are not there, it says so", async () => {
  const prepare = (given: Record<string, unknown>, data: string[]) => {
    const { options } = resolveSettings(recipe, given)
    const rest = { tokenizer: undefined as never, folder: scratch, random: createRandom(1), threads: 1, note() {} }
    return recipe.prepare({ target: checkpoint, options, data, signal: new AbortController().signal, ...rest })
  }
  await expect(prepare({ layers: "2" }, [])).rejects.toMatchObject({ code: "E_USAGE" })
  for (const layers of ["4", "0", "2,1", "2,x", ""])
    await expect(prepare({ layers }, ["answers"])).rejects.toMatchObject({ code: "E_OPTION" })
})
