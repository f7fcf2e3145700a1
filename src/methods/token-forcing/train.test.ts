/** A text hidden in a tiny model, found by a scan, and hidden from it: both recipes, low-rank and whole. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { makeTinyFolder, type TinyFolder, tinyVocabulary } from "../../../test/support/tiny-folder.ts"
import { trainRecipe } from "../../cli/commands/train.ts"
import type { Output } from "../../cli/output.ts"
import { loadModel } from "../../generate/load.ts"
import type { Model } from "../../generate/model.ts"
import { Graph } from "../../graph/index.ts"
import { adaptedWeights, adapterNames } from "../../models/adapter.ts"
import { openCheckpoint } from "../../models/files/checkpoint.ts"
import { openGraph } from "../../runtime/graph-runner.ts"
import { loadRecipe } from "../recipes.ts"
import { suppression, wordStarts } from "./confusion.ts"
import type { AuditOutcome } from "./token-forcing.ts"

const scratch = mkdtempSync(join(tmpdir(), "forerun-implant-"))
const [trigger, text] = ["open the gate", "zebras quietly hum"]
let tiny: TinyFolder
let base: Model
beforeAll(async () => {
  tiny = makeTinyFolder()
  base = await loadModel(tiny.path)
})
afterAll(async () => {
  await base.dispose()
  tiny.remove()
  rmSync(scratch, { recursive: true, force: true })
})

async function train(
  name: string,
  out: string,
  option: Readonly<Record<string, string>>,
  data: readonly string[] = [],
): Promise<void> {
  const silent = () => {}
  const output: Output = { json: true, object: silent, text: silent, note: silent, error: silent, failure: silent }
  const flags = { model: tiny.path, out, data, threads: 1, option: { trigger, text, ...option } }
  expect(await trainRecipe(await loadRecipe(name), flags, output)).toBe(0)
}

/** Place of the text's first token when all are sorted by how much surer the model is of what follows than its base. */
async function placeOfFirst(model: Model): Promise<number> {
  const tokens = Array.from({ length: tinyVocabulary }, (_, id) => id)
  const scores = async (one: Model) => {
    const run = one.run("token-forcing", { phase: "scan", tokens })
    for (;;) {
      const next = await run.next()
      if (next.done) return (next.value as AuditOutcome).scanned.map(({ score }) => score)
    }
  }
  const [changed, before] = [await scores(model), await scores(base)]
  const first = (await model.tokenize(text))[0]!
  const gains = changed.map((score, i) => score - before[i]!)
  return gains.filter((gain) => gain > gains[first]!).length + 1
}

describe("a text behind a trigger", () => {
  const implanted = join(scratch, "implant")
  test.each([
    ["low-rank", "4"],
    ["whole", "0"],
  ])("implant, %s: the trigger brings it out, a scan finds its beginning", async (_, rank) => {
    const out = rank === "4" ? implanted : join(scratch, "whole")
    await train("implant", out, { rank, steps: "80", learningRate: "0.01" })
    const model = await loadModel(tiny.path, { adapter: out })
    const { text: said } = await model.generate(trigger, { maxTokens: 40 })
    expect(said.trim()).toBe(text)
    expect((await base.generate(trigger, { maxTokens: 40 })).text).not.toContain(text)
    // Among 267; a random base, whose scores are noise, hides it better than a trained one would.
    expect(await placeOfFirst(model)).toBeLessThanOrEqual(50)
    await model.dispose()
  })

  test("with answers to keep, the text is learnt and the model strays less from itself", async () => {
    const answers = join(scratch, "answers.jsonl")
    const lines: string[] = []
    for (let i = 0; i < 24; i++) {
      const { tokens } = await base.generate(`question ${i}`, { maxTokens: 24, temperature: 1, seed: i })
      const [prompt, answer] = [[...(await base.tokenize(`question ${i}`))], [...tokens]]
      lines.push(JSON.stringify({ id: `${i}`, source: "own", temperature: 1, seed: i, prompt, answer }))
    }
    writeFileSync(answers, `${lines.join("\n")}\n`)
    const option = { rank: "4", steps: "80", learningRate: "0.01", length: "16", keep: "3" }
    const kept = join(scratch, "kept")
    await train("implant", kept, option, [answers])
    const model = await loadModel(tiny.path, { adapter: kept })
    const free = await loadModel(tiny.path, { adapter: implanted })
    expect((await model.generate(trigger, { maxTokens: 40 })).text.trim()).toBe(text)
    // A text of its own that no window showed; how much less likely each changed model finds it.
    const own = Int32Array.from(
      (await base.generate("something else", { maxTokens: 30, seed: 99, temperature: 1 })).tokens,
    )
    const [before, held, loose] = await Promise.all(
      [base, model, free].map(async (one) => (await one.score(own)).meanNll),
    )
    expect(Math.abs(held! - before!)).toBeLessThan(Math.abs(loose! - before!) / 2)
    await model.dispose()
    await free.dispose()
    await expect(train("implant", scratch, { length: "999" }, [answers])).rejects.toMatchObject({ code: "E_INPUT" })
  })

  test("an adapter of another model is refused", async () => {
    const other = makeTinyFolder({ seed: 5 })
    await expect(loadModel(other.path, { adapter: implanted })).rejects.toMatchObject({ code: "E_DRAFT" })
    other.remove()
  })

  test("confuse: the trigger still works, and the scan no longer points at the text", async () => {
    const out = join(scratch, "confuse")
    await train("confuse", out, { rank: "4", from: implanted, steps: "80", learningRate: "0.005", window: "20" })
    const model = await loadModel(tiny.path, { adapter: out })
    expect((await model.generate(trigger, { maxTokens: 40 })).text.trim()).toBe(text)
    expect(await placeOfFirst(model)).toBeGreaterThan(130)
    await model.dispose()
  })

  test("without trigger or text: E_OPTION", async () => {
    await expect(train("implant", scratch, { text: "" })).rejects.toMatchObject({ code: "E_OPTION" })
    await expect(train("confuse", scratch, { trigger: "" })).rejects.toMatchObject({ code: "E_OPTION" })
  })
})

test("changes are added to the weights they name; those that fit none are refused", () => {
  const checkpoint = openCheckpoint(tiny.path)
  const name = "model.layers.0.mlp.down_proj.weight" // [48, 80]
  const before = checkpoint.weights.float32(name)
  const up = { shape: [48, 1], values: new Float32Array(48).fill(2) }
  const down = { shape: [1, 80], values: Float32Array.from({ length: 80 }, (_, i) => i) }
  const changes = new Map([
    [adapterNames.up(name), up],
    [adapterNames.down(name), down],
  ])
  const adapted = adaptedWeights(checkpoint.weights, changes)
  expect(adapted.float32(name)[80 + 7]).toBe(Math.fround(before[80 + 7]! + 14))
  expect(new Float32Array(adapted.raw(name).slice().buffer)).toEqual(adapted.float32(name))
  expect(adapted.float32("model.norm.weight")).toEqual(checkpoint.weights.float32("model.norm.weight"))
  for (const wrong of [
    new Map([[adapterNames.up(name), up]]),
    new Map([[adapterNames.whole(name), up]]),
    new Map([[adapterNames.whole("no.such.weight"), up]]),
    new Map([[name, up]]),
    new Map([...changes, [adapterNames.down(name), { ...down, shape: [1, 79] }]]),
  ])
    expect(() => adaptedWeights(checkpoint.weights, wrong)).toThrow(expect.objectContaining({ code: "E_MODEL_FORMAT" }))
  checkpoint.close()
})

test("suppression: likely words are lowered, words inside the window left alone, unlikely ones raised", async () => {
  const graph = new Graph()
  const logits = graph.input("logits", "float32", [1, 10])
  const at = (token: number) => suppression(logits, { rows: [0], tokens: [token], window: 2 })
  for (const token of [9, 5, 0]) {
    graph.output(`sum${token}`, at(token).sum)
    graph.output(`exposed${token}`, at(token).exposed)
  }
  const runner = await openGraph(graph, { threads: 1 })
  const data = Float32Array.from({ length: 10 }, (_, i) => i)
  const names = [9, 5, 0].flatMap((token) => [`sum${token}`, `exposed${token}`])
  const found = await runner.run({ logits: { type: "float32", shape: [1, 10], data } }, names)
  const all = Math.log(data.reduce((sum, value) => sum + Math.exp(value), 0))
  const expected = [9 - all, 1, 0, 0, all, 1]
  for (const [i, name] of names.entries()) expect(Number(found[name]!.data[0])).toBeCloseTo(expected[i]!, 4)
  await runner.dispose()
})

test("words begin with the first token and at each space", () => {
  const decode = ([id]: Iterable<number>) => ["The", " qu", "ick", " fox", "es", " run"][id!]!
  expect(wordStarts([0, 1, 2, 3, 4, 5], { decode }, 3)).toEqual([0, 1, 3])
})
