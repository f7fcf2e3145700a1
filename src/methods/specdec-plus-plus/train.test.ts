/** Both recipes on a tiny target, then the method with what they made. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { makeTinyFolder, type TinyFolder, tinyVocabulary } from "../../../test/support/tiny-folder.ts"
import { type TrainFlags, trainRecipe } from "../../cli/commands/train.ts"
import type { Output } from "../../cli/output.ts"
import { loadModel } from "../../generate/load.ts"
import { readTensors } from "../../models/trained-part.ts"
import { loadRecipe } from "../recipes.ts"

const scratch = mkdtempSync(join(tmpdir(), "forerun-specdec-"))
const [answers, draft, part] = ["answers.jsonl", "draft", "part"].map((name) => join(scratch, name)) as [
  string,
  string,
  string,
]
let model: TinyFolder
const promptOf = (i: number): number[] => [7, 8, 9].map((step) => (step * (3 * i + 5)) % 200)

beforeAll(async () => {
  model = makeTinyFolder()
  // Few answers, which a small model learns by heart: what a random target says follows no rule.
  const target = await loadModel(model.path)
  const lines: string[] = []
  for (let i = 0; i < 16; i++) {
    const prompt = promptOf(i)
    const { tokens } = await target.generate({ tokens: prompt }, { maxTokens: 24 })
    lines.push(JSON.stringify({ id: `p${i}`, source: "test", temperature: 0, seed: 1, prompt, answer: tokens }))
  }
  await target.dispose()
  writeFileSync(answers, lines.join("\n"))
})
afterAll(() => {
  rmSync(scratch, { recursive: true, force: true })
  model.remove()
})

async function train(name: string, flags: TrainFlags) {
  const objects: Record<string, unknown>[] = []
  const silent = () => {}
  const object = (value: unknown) => void objects.push(value as Record<string, unknown>)
  const output: Output = { json: true, object, text: silent, note: silent, error: silent, failure: silent }
  const given = { model: model.path, data: [answers], threads: 1, seed: 3, ...flags }
  expect(await trainRecipe(await loadRecipe(name), given, output)).toBe(0)
  return objects[0] as { loss: { first: number; last: number }; metric: { name: string; value: number } }
}
const small = { layers: "1", hidden: "32", kvHeads: "1", intermediate: "48", length: "27", vocabulary: "267" }

describe("a small model, then its head", () => {
  test.each([
    ["soft", 0.95],
    ["hard", 0.3],
  ])("the small model learns what the target says, from %s labels", async (labels, share) => {
    const option = { labels, ...small, steps: "300", batch: "8", validateEvery: "300", learningRate: "0.01" }
    const { loss, metric } = await train("draft-lm", { out: draft, option })
    expect(loss.last).toBeLessThan(share * loss.first) // a random target's laws are wide
    expect(metric).toMatchObject({ name: "loss" }) // sixteen answers leave none to validate on
    const tensors = readTensors(join(draft, "weights.safetensors"))
    expect(tensors.get("draft.lm_head.weight")!.shape).toEqual([267, 32])
    expect(tensors.get("vocabulary")!.values.every((id) => Number.isInteger(id) && id < tinyVocabulary)).toBe(true)
    expect([...tensors.keys()]).not.toContain("draft.head")
  })

  test.each([
    ["tied", "true", 1],
    ["untied", "false", 2],
  ])("the head (%s) learns when it is right; the part holds both", async (_, tied, blocks) => {
    const option = { draft, tied, depth: "2", steps: "60", batch: "32", validateEvery: "20", kept: "0.5" }
    const { loss } = await train("specdec-plus-plus", { out: part, option })
    expect(loss.last).toBeLessThan(0.8 * loss.first)
    const names = [...readTensors(join(part, "weights.safetensors")).keys()]
    expect(names.filter((name) => /blocks\.\d+\.weight/.test(name))).toHaveLength(blocks)
    expect(names).toContain("draft.projection")
  })

  test("the method runs with it: plain decoding's tokens, some of them drafted", async () => {
    const target = await loadModel(model.path, { part })
    let accepted = 0
    for (const i of [1, 5, 6, 9]) {
      const prompt = { tokens: promptOf(i) }
      const plain = await target.generate(prompt, { maxTokens: 24 })
      const found = await target.generate(prompt, { method: "specdec-plus-plus", maxTokens: 24 })
      expect(found.tokens).toEqual(plain.tokens)
      expect(found.passes.draft).toBeGreaterThan(0)
      accepted += found.speculation!.accepted
    }
    expect(accepted).toBeGreaterThan(10)
    await target.dispose()
  })

  test("a head for a model of the caller's: no small model in the part", async () => {
    const other = makeTinyFolder({ seed: 11, layers: 1 })
    const own = join(scratch, "own")
    const option = { draft: other.path, depth: "1", steps: "20", batch: "16", validateEvery: "20" }
    await train("specdec-plus-plus", { out: own, option })
    const prompt = { tokens: [7, 8, 9] }
    const target = await loadModel(model.path, { part: own, draft: other.path })
    const plain = await target.generate(prompt, { maxTokens: 20 })
    expect((await target.generate(prompt, { method: "specdec-plus-plus", maxTokens: 20 })).tokens).toEqual(plain.tokens)
    await target.dispose()
    const alone = await loadModel(model.path, { part: own })
    await expect(alone.generate(prompt, { method: "specdec-plus-plus" })).rejects.toMatchObject({ code: "E_DRAFT" })
    await alone.dispose()
    other.remove()
  })
})

test("what the recipes refuse", async () => {
  const out = join(scratch, "refused")
  const refuse = (name: string, flags: TrainFlags) => expect(train(name, { out, ...flags })).rejects
  await refuse("draft-lm", { data: [] }).toMatchObject({ code: "E_OPTION" })
  await refuse("draft-lm", { option: { hidden: "40" } }).toMatchObject({ code: "E_OPTION" })
  await refuse("draft-lm", { option: { hidden: "64", kvHeads: "3" } }).toMatchObject({ code: "E_OPTION" })
  await refuse("specdec-plus-plus", {}).toMatchObject({ code: "E_OPTION" })
  const stranger = makeTinyFolder({ seed: 12 })
  await refuse("specdec-plus-plus", { model: stranger.path, option: { draft } }).toMatchObject({ code: "E_DRAFT" })
  stranger.remove()
})
