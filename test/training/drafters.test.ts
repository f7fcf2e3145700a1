/** The recipes of feature drafters on a tiny target's own answers: they learn, and what they write drafts. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { type TrainFlags, trainRecipe } from "../../src/cli/commands/train.ts"
import type { Output } from "../../src/cli/output.ts"
import { createSpeculationTally } from "../../src/decoding/speculation-report.ts"
import { loadContinuation } from "../../src/methods/index.ts"
import { loadRecipe } from "../../src/methods/recipes.ts"
import { openPartFolder } from "../../src/models/trained-part.ts"
import type { TrainResult } from "../../src/train/trainer.ts"
import { runMethod } from "../support/method-harness.ts"
import { openTestPart } from "../support/test-part.ts"
import { makeTinyFolder, type TinyFolder } from "../support/tiny-folder.ts"
import { greedy, openRunner } from "../support/tiny-runner.ts"

const scratch = mkdtempSync(join(tmpdir(), "forerun-drafters-"))
const answers = join(scratch, "answers.jsonl")
const prompts = 48
const promptOf = (i: number) => [3 + i, 7, 100 + ((5 * i) % 90), 11]
let model: TinyFolder
beforeAll(async () => {
  model = makeTinyFolder()
  const { runner, dispose } = await openRunner(model.path, "q8", 1)
  const lines: string[] = []
  for (let i = 0; i < prompts; i++) {
    const prompt = promptOf(i)
    const { tokens: answer } = await greedy(runner, prompt, 24)
    lines.push(JSON.stringify({ id: `p${i}`, source: "test", temperature: 0, seed: 0, prompt, answer }))
  }
  await dispose()
  writeFileSync(answers, `${lines.join("\n")}\n`)
}, 300_000)
afterAll(() => {
  rmSync(scratch, { recursive: true, force: true })
  model.remove()
})

const common = {
  length: "30",
  vocabulary: "200",
  intermediate: "64",
  picked: "64",
  batch: "4",
  validateEvery: "1000", // at the end only: of one answer held out, the best of several is chance
  warmUp: "5",
  learningRate: "0.006",
}

async function train(method: string, name: string, option: Readonly<Record<string, string>>) {
  const notes: string[] = []
  const output: Output = {
    json: true,
    object: () => {},
    text: () => {},
    note: (text) => void notes.push(text),
    error: () => {},
    failure: () => {},
  }
  const out = join(scratch, name)
  let result: TrainResult | undefined
  const flags: TrainFlags = { model: model.path, data: [answers], threads: 1, out, option: { ...common, ...option } }
  const object = (value: unknown) => {
    result = value as TrainResult
  }
  const objects = { ...output, object }
  expect(await trainRecipe(await loadRecipe(method), flags, objects)).toBe(0)
  return { out, result: result!, notes }
}

/** Tokens for each verification, over prompts that were trained on. */
async function meanAccepted(name: string, folder: string, options: Readonly<Record<string, unknown>>): Promise<number> {
  const method = await loadContinuation(name)
  const { runner, checkpoint, dispose } = await openRunner(model.path, "q8", 1)
  const { tensors } = await openPartFolder(folder)
  const part = await openTestPart(method, checkpoint, () => ({ tensors }))
  const tally = createSpeculationTally()
  for (let i = 0; i < prompts; i += 8) {
    const { steps } = await runMethod(method, { target: runner }, { prompt: promptOf(i), part, options, maxTokens: 24 })
    for (const step of steps) tally.add(step)
  }
  await part.dispose()
  await dispose()
  return tally.report()!.meanAcceptedLength
}

const chain = { tree: "chain", depth: 4, size: "fixed" }

describe("eagle", () => {
  test("learns beyond its closed-form start, and drafts what it learnt", async () => {
    const start = await train("eagle", "eagle-start", { steps: "1", learningRate: "0" })
    const trained = await train("eagle", "eagle", { steps: "150" })
    expect(trained.notes.join("\n")).toMatch(
      /44 answers; 200 tokens cover [\d.]+ % of the 1 held out[\s\S]*hidden states: 2 of 2[\s\S]*closed-form start: R² 0\.\d+/,
    )
    expect(trained.result.loss.last).toBeLessThan(start.result.loss.last - 0.05)
    expect([...(await openPartFolder(trained.out)).tensors.keys()]).toEqual([
      "fusion.weight",
      "fusion.bias",
      "inputNorm.weight",
      "attention.weight",
      "output.weight",
      "middleNorm.weight",
      "gateUp.weight",
      "down.weight",
      "vocabulary",
      "span",
    ])
    const accepted = await meanAccepted("eagle", trained.out, chain)
    expect(accepted).toBeGreaterThan(1 + 1.2 * ((await meanAccepted("eagle", start.out, chain)) - 1))
    expect(accepted).toBeGreaterThan(1.3)
    // A tree of the same drafter holds the line and more.
    expect(await meanAccepted("eagle", trained.out, { size: "fixed", least: 0.05, width: 6 })).toBeGreaterThan(accepted)
  }, 300_000)
})

describe("falcon", () => {
  test("learns with glancing and gates; a drafter trained as EAGLE is its span 1", async () => {
    const start = await train("falcon", "falcon-start", { steps: "1", learningRate: "0" })
    const trained = await train("falcon", "falcon", { steps: "150" })
    expect(trained.result.loss.last).toBeLessThan(start.result.loss.last - 0.05)
    const accepted = await meanAccepted("falcon", trained.out, chain)
    expect(accepted).toBeGreaterThan(await meanAccepted("falcon", start.out, chain))

    const one = await train("falcon", "falcon-1", { steps: "20", span: "1", fusion: "plain" })
    const eagle = await train("eagle", "eagle-20", { steps: "20" })
    const [a, b] = [await openPartFolder(one.out), await openPartFolder(eagle.out)]
    expect(a.record.weights.sha256).toBe(b.record.weights.sha256)
  }, 300_000)
})
