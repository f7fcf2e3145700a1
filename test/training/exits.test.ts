/** The recipes of deep drafters and of early exits on a tiny target's own answers: they learn, and what they write runs. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, expect, test } from "vitest"
import { trainRecipe } from "../../src/cli/commands/train.ts"
import { loadModel } from "../../src/index.ts"
import { loadRecipe } from "../../src/methods/recipes.ts"
import { adapterNames } from "../../src/models/adapter.ts"
import { readPart, readPartRecord } from "../../src/models/trained-part.ts"
import type { TrainResult } from "../../src/train/trainer.ts"
import { makeTinyFolder, type TinyFolder } from "../support/tiny-folder.ts"
import { greedy, openRunner } from "../support/tiny-runner.ts"

const scratch = mkdtempSync(join(tmpdir(), "forerun-exits-"))
const answers = join(scratch, "answers.jsonl")
const promptOf = (i: number) => [3 + i, 7, 100 + ((5 * i) % 90), 11]
let model: TinyFolder
beforeAll(async () => {
  model = makeTinyFolder({ layers: 4 })
  const { runner, dispose } = await openRunner(model.path, "q8", 1)
  const lines: string[] = []
  for (let i = 0; i < 32; i++) {
    const { tokens: answer } = await greedy(runner, promptOf(i), 20)
    lines.push(JSON.stringify({ id: `p${i}`, source: "test", temperature: 0, seed: 0, prompt: promptOf(i), answer }))
  }
  await dispose()
  writeFileSync(answers, `${lines.join("\n")}\n`)
}, 120_000)
afterAll(() => {
  rmSync(scratch, { recursive: true, force: true })
  model.remove()
})

async function train(recipe: string, option: Readonly<Record<string, string>>) {
  let result: TrainResult | undefined
  const ignore = () => {}
  const output = { json: true, text: ignore, note: ignore, error: ignore, failure: ignore }
  const object = (value: unknown) => {
    result = value as TrainResult
  }
  const out = join(scratch, recipe)
  const common = { length: "24", vocabulary: "200", picked: "48", batch: "4", validateEvery: "20", warmUp: "3" }
  const flags = { model: model.path, data: [answers], threads: 1, out, option: { ...common, ...option } }
  expect(await trainRecipe(await loadRecipe(recipe), flags, { ...output, object })).toBe(0)
  return { out, result: result! }
}

test("dovetail: two layers behind a dynamic fusion learn, and draft with what they learnt", async () => {
  const { out, result } = await train("dovetail", {
    steps: "60",
    layers: "2",
    intermediate: "48",
    learningRate: "0.004",
  })
  // The random target's own laws have nearly 4.8 nats: there is no more to learn below that.
  expect(result.loss.last).toBeLessThan(result.loss.first - 0.08)
  const { tensors } = readPart(out)
  expect([...tensors.keys()]).toEqual(expect.arrayContaining(["mixGate.weight", "layer1.down.weight", "vocabulary"]))
  const engine = await loadModel(model.path, { part: out, threads: 1, weights: "q8" })
  let [drafted, accepted] = [0, 0]
  for (let i = 0; i < 4; i++) {
    const prompt = { tokens: promptOf(i) }
    const plain = await engine.generate(prompt, { maxTokens: 20 })
    const options = { size: "fixed", nodes: 6, width: 3, depth: 3 }
    const { tokens, speculation } = await engine.generate(prompt, { method: "dovetail", options, maxTokens: 20 })
    expect(tokens).toEqual(plain.tokens)
    drafted += speculation!.drafted
    accepted += speculation!.accepted
  }
  await engine.dispose()
  expect(drafted).toBeGreaterThan(50)
  expect(accepted).toBeGreaterThan(0)
}, 300_000)

test("layerskip holds the last layer to what it says of a window, not to what it would say with more before it", async () => {
  const { out } = await train("layerskip", {
    steps: "1",
    length: "12",
    learningRate: "1e-9",
    warmUp: "0",
    vocabulary: "267",
  })
  const { metrics } = readPartRecord(out)
  expect(metrics.drift).toBeLessThan(0.05) // 8-bit weights beside whole ones
  expect(metrics.last).toBeGreaterThan(0.8)
}, 120_000)

test("layerskip: exits come to say what the last layer says, and the target can be changed by what was saved", async () => {
  const { out, result } = await train("layerskip", {
    steps: "400",
    validateEvery: "400", // it learns these answers by heart: there is no rule in a random target's to find
    rank: "16",
    rotation: "2",
    keep: "0.5",
    dropout: "0.05",
    learningRate: "0.004",
  })
  expect(result.loss.last).toBeLessThan(0.9 * result.loss.first)
  const { tensors } = readPart(out)
  const name = "model.layers.0.mlp.down_proj.weight"
  const [down, up] = [tensors.get(adapterNames.down(name))!, tensors.get(adapterNames.up(name))!]
  expect([down.shape[0], up.shape[1]]).toEqual([16, 16])
  expect(up.values.some((value) => value !== 0)).toBe(true)
  const [before, after] = [
    await loadModel(model.path, { threads: 1, weights: "q8" }),
    await loadModel(model.path, { threads: 1, weights: "q8", adapter: out }),
  ]
  expect(before.info.adapter).toBeUndefined()
  expect(after.info.adapter).toEqual({ path: out, method: "layerskip", sha256: result.weights.sha256 })
  const accepted = { before: 0, after: 0 }
  for (let i = 0; i < 8; i++) {
    const prompt = { tokens: promptOf(i) }
    const plain = await after.generate(prompt, { maxTokens: 20 })
    const options = { exitLayer: 2, draftLength: 3 }
    const early = { method: "self-speculative", options, maxTokens: 20 }
    const changed = await after.generate(prompt, early)
    // Lossless for the changed target; another model than the one before, and only where it was asked for.
    expect(changed.tokens).toEqual(plain.tokens)
    expect((await after.generate(prompt, { method: "del", maxTokens: 20 })).tokens).toEqual(plain.tokens)
    accepted.after += changed.speculation!.accepted
    accepted.before += (await before.generate(prompt, early)).speculation!.accepted
  }
  expect(accepted.after).toBeGreaterThan(1.4 * accepted.before)
  await before.dispose()
  await after.dispose()
}, 300_000)
