/** Joint training on a tiny model: the folder changes the target and drafts for it, and for nothing else. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { makeTinyFolder, type TinyFolder } from "../../../test/support/tiny-folder.ts"
import { greedy, openRunner } from "../../../test/support/tiny-runner.ts"
import { trainRecipe } from "../../cli/commands/train.ts"
import { loadModel } from "../../generate/load.ts"
import { checkpointHash, openCheckpoint } from "../../models/files/checkpoint.ts"
import { readPart, readPartRecord, writePart } from "../../models/trained-part.ts"
import type { TrainResult } from "../../train/trainer.ts"
import { loadRecipe } from "../recipes.ts"
import { randomHeads } from "./test-heads.ts"

const scratch = mkdtempSync(join(tmpdir(), "forerun-medusa-2-"))
const answers = join(scratch, "answers.jsonl")
const out = join(scratch, "joint")
const promptOf = (i: number) => [3 + i, 7, 100 + ((5 * i) % 90), 11]
let tiny: TinyFolder
let result: TrainResult

beforeAll(async () => {
  tiny = makeTinyFolder()
  const { runner, dispose } = await openRunner(tiny.path, "q8", 1)
  const lines: string[] = []
  for (let i = 0; i < 60; i++) {
    const { tokens: answer } = await greedy(runner, promptOf(i), 20)
    lines.push(JSON.stringify({ id: `p${i}`, source: "test", prompt: promptOf(i), answer }))
  }
  await dispose()
  writeFileSync(answers, `${lines.join("\n")}\n`)
  result = await train(out, { steps: "60" })
}, 120_000)
afterAll(() => {
  tiny.remove()
  rmSync(scratch, { recursive: true, force: true })
})

async function train(folder: string, option: Readonly<Record<string, string>>): Promise<TrainResult> {
  let found: TrainResult | undefined
  const ignore = () => {}
  const object = (value: unknown) => {
    found = value as TrainResult
  }
  const output = { json: true, text: ignore, note: ignore, error: ignore, failure: ignore, object }
  const common = { length: "24", vocabulary: "200", picked: "32", learningRate: "0.004", validateEvery: "20" }
  const flags = { model: tiny.path, data: [answers], threads: 1, out: folder, option: { ...common, ...option } }
  expect(await trainRecipe(await loadRecipe("medusa-2"), flags, output)).toBe(0)
  return found!
}

async function writeHeads(name: string, record: { method: string; sha256?: string }): Promise<string> {
  const checkpoint = openCheckpoint(tiny.path)
  const tensors = [...randomHeads(checkpoint, { words: 200 })].map(([tensor, value]) => ({ name: tensor, ...value }))
  const sha256 = record.sha256 ?? (await checkpointHash(checkpoint))
  checkpoint.close()
  const folder = join(scratch, name)
  await writePart(folder, tensors, { method: record.method, target: { sha256 }, recipe: {}, metrics: {} })
  return folder
}

describe("the folder", () => {
  test("is an adapter of the target that the training saw, with heads for what it makes of it", async () => {
    expect(result.loss.last).toBeLessThan(result.loss.first)
    const { tensors } = readPart(out)
    expect([...tensors.keys()].every((name) => /^(up|down)\//.test(name))).toBe(true)
    const base = openCheckpoint(tiny.path)
    const heads = readPartRecord(join(out, "medusa"))
    expect(readPartRecord(out).target.sha256).toBe(await checkpointHash(base))
    expect(heads.target.sha256).not.toBe(await checkpointHash(base))
    base.close()
    expect(heads).toMatchObject({ method: "medusa", recipe: { rank: 8 }, metrics: { loss: expect.any(Number) } })
    expect(readPart(join(out, "medusa")).tensors.get("calibration")!.shape).toEqual([3, 10])
  })

  test("loaded as an adapter it drafts losslessly beside the changed target, whose answers are its own", async () => {
    const [base, changed] = [await loadModel(tiny.path), await loadModel(tiny.path, { adapter: out })]
    const answer = { maxTokens: 24, seed: 3 }
    let [differing, accepted] = [0, 0]
    for (let i = 0; i < 8; i++) {
      const prompt = { tokens: promptOf(100 + i) }
      for (const sampling of [{}, { temperature: 0.9 }]) {
        const plain = await changed.generate(prompt, { ...answer, ...sampling })
        const drafted = await changed.generate(prompt, {
          ...answer,
          ...sampling,
          method: "medusa",
          options: { nodes: 8 },
        })
        expect(drafted.tokens).toEqual(plain.tokens)
        accepted += drafted.speculation!.accepted
        if ((await base.generate(prompt, { ...answer, ...sampling })).tokens.join() !== plain.tokens.join()) differing++
      }
    }
    expect(changed.info.adapter).toMatchObject({ method: "medusa-2", sha256: result.weights.sha256 })
    expect(accepted).toBeGreaterThan(0)
    expect(differing).toBeGreaterThan(0)
    await base.dispose()
    await changed.dispose()
  })

  test("named as a part beside itself it is the same; its heads draft for no other target", async () => {
    const medusa = { method: "medusa", maxTokens: 4 }
    const both = await loadModel(tiny.path, { adapter: out, part: out })
    await expect(both.generate("a", medusa)).resolves.toBeDefined()
    await both.dispose()
    const unchanged = await loadModel(tiny.path, { part: out })
    await expect(unchanged.generate("a", medusa)).rejects.toMatchObject({
      code: "E_DRAFT",
      message: expect.stringContaining("--adapter"),
    })
    await unchanged.dispose()
    const part = await writeHeads("frozen", { method: "medusa" })
    const mixed = await loadModel(tiny.path, { adapter: out, part })
    await expect(mixed.generate("a", medusa)).rejects.toMatchObject({ code: "E_DRAFT" })
    await mixed.dispose()
  })
})

describe("heads to go on from", () => {
  test("are what training starts with", async () => {
    const from = await writeHeads("start", { method: "medusa" })
    const folder = join(scratch, "from")
    await train(folder, { from, steps: "1", learningRate: "0" })
    const [before, after] = [readPart(from).tensors, readPart(join(folder, "medusa")).tensors]
    for (const name of ["0.0.linear.weight", "2.0.linear.bias", "vocabulary"])
      expect(after.get(name)!.values).toEqual(before.get(name)!.values)
  })

  test("are refused when they are none, fit another shape, or another target", async () => {
    const refused = (folder: string, code: string, option = {}) =>
      expect(train(join(scratch, "refused"), { from: folder, ...option })).rejects.toMatchObject({ code })
    await refused(await writeHeads("other", { method: "eagle" }), "E_OPTION")
    await refused(await writeHeads("foreign", { method: "medusa", sha256: "1".repeat(64) }), "E_DRAFT")
    await refused(join(out, "medusa"), "E_DRAFT")
    await refused(await writeHeads("few", { method: "medusa" }), "E_MODEL_FORMAT", { heads: "5", steps: "1" })
  })
})
