/** A recipe that makes a model: the folder loads as any model does, training resumes to the same bits, races run on it. */
import { createHash } from "node:crypto"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest"
import { type TrainFlags, trainRecipe } from "../../src/cli/commands/train.ts"
import type { Output } from "../../src/cli/output.ts"
import { createCommand, objects } from "../../src/cli/test-command.ts"
import { loadModel } from "../../src/index.ts"
import { recipe } from "../../src/methods/first-finish/train.ts"
import { readPartRecord, readTrainingRecord } from "../../src/models/trained-part.ts"
import { createRandom } from "../../src/tensor/random.ts"
import { resolveSettings } from "../../src/train/settings.ts"
import { train } from "../../src/train/trainer.ts"
import { repository } from "../support/shared.ts"

vi.setConfig({ testTimeout: 240_000 })
const scratch = mkdtempSync(join(tmpdir(), "forerun-tiny-model-"))
const { run, remove } = createCommand()
afterAll(() => {
  rmSync(scratch, { recursive: true, force: true })
  remove()
})

const option = { steps: "40", batch: "4", hidden: "16", heads: "2", layers: "1", validateEvery: "20", warmUp: "4" }
const output: Output = {
  json: true,
  object: () => {},
  text: () => {},
  note: () => {},
  error: () => {},
  failure: () => {},
}
const made = join(scratch, "made")
const trained = (flags: TrainFlags) => trainRecipe(recipe, { option, threads: 1, ...flags }, output)
const digest = (file: string) => createHash("sha256").update(readFileSync(file)).digest("hex")
beforeAll(async () => {
  expect(await trained({ out: made })).toBe(0)
}, 240_000)

/** What the recipe prepares from a seed. */
const prepared = (seed: number) => {
  const { options, hyper } = resolveSettings(recipe, option)
  const random = createRandom(seed).fork("data")
  const signal = new AbortController().signal
  const context = { options, data: [], folder: scratch, random, threads: 1, signal, note: () => {} }
  return { options, hyper, training: recipe.prepare(context) }
}

describe("a model made by a recipe", () => {
  test("says what its training graph says: validation through the loaded model gives the recorded loss", async () => {
    const { metrics } = readTrainingRecord(made)
    const { validation } = await prepared(1).training
    const model = await loadModel(made, { threads: 1 })
    const batches: number[] = [] // the recorded loss is the mean over batches of four
    for (let from = 0; from < validation!.samples; from += 4) {
      let [sum, mass] = [0, 0]
      for (let i = from; i < from + 4; i++) {
        const { tensors } = validation!.batch([i], createRandom(0))
        const ids = Array.from(tensors.tokens!.data as BigInt64Array, Number)
        const { logprobs } = await model.score([...ids, Number(tensors.labels!.data.at(-1))])
        for (const [at, weight] of (tensors.weight!.data as Float32Array).entries()) {
          sum -= weight * logprobs[at]!
          mass += weight
        }
      }
      batches.push(sum / mass)
    }
    await model.dispose()
    const mean = batches.reduce((sum, loss) => sum + loss, 0) / batches.length
    expect(Math.abs(mean - metrics.loss!)).toBeLessThan(1e-3) // the file has half precision
    expect(metrics.loss).toBeLessThan(3.2) // it has learnt something: ln 26 is 3.26
  })

  test("ends its answers, speaks its characters, and repeats itself by seed", async () => {
    const model = await loadModel(made, { threads: 1 })
    const question = JSON.parse(readFileSync(join(made, "questions.jsonl"), "utf8").split("\n")[0]!)
    const say = (seed: number) => model.generate(question.question, { seed, temperature: 1, maxTokens: 12 })
    const [one, again, other] = [await say(1), await say(1), await say(2)]
    await model.dispose()
    expect(again.text).toBe(one.text)
    expect(other.text).not.toBe(one.text)
    expect(one.text).toMatch(/^[a-pA-F>,;=]*$/)
    expect(model.info.config.eosTokens).toEqual([model.info.config.vocabulary - 1])
  })

  test("is no part of a method: its record has no target", () => {
    expect(readTrainingRecord(made)).toMatchObject({ method: "tiny-maze", weights: { file: "model.safetensors" } })
    expect(() => readPartRecord(made)).toThrow(/no trained part/)
  })

  test("brings questions that are the same for both walkers and that no lesson asks", async () => {
    const blind = join(scratch, "blind")
    await trained({ out: blind, option: { ...option, walker: "blind", steps: "4", validateEvery: "4" } })
    const file = (folder: string) => readFileSync(join(folder, "questions.jsonl"), "utf8")
    expect(file(blind)).toBe(file(made))
    const asked = file(made).trim().split("\n")
    expect(new Set(asked).size).toBe(200)
    const { data } = await prepared(1).training
    const rows = data.batch([...Array(2000).keys()], createRandom(0)).tensors.tokens!.data as BigInt64Array
    const lessons = new Set<string>()
    const characters = "abcdefghijklmnopABCDEF>,;="
    for (let at = 0; at < rows.length; at += rows.length / 2000)
      lessons.add(
        Array.from(rows.subarray(at, at + rows.length / 2000), (id) => characters[Number(id)] ?? "")
          .join("")
          .split(";")[0]!,
      )
    expect(lessons.size).toBeGreaterThan(1990)
    for (const line of asked) expect(lessons.has(JSON.parse(line).question.slice(0, -1))).toBe(false)
  })
})

test("a run that was interrupted goes on to the same bits", async () => {
  const { options, hyper, training } = prepared(1)
  const folder = join(scratch, "broken")
  const controller = new AbortController()
  const request = { recipe, training: await training, hyper, options, folder, seed: 1, threads: 1 }
  const onProgress = ({ step }: { step: number }) => step === 17 && controller.abort()
  const first = await train({ ...request, signal: controller.signal, onProgress })
  expect(first).toMatchObject({ end: "abort", steps: 17 })
  // What an interruption leaves is a model already.
  const early = await loadModel(folder, { threads: 1 })
  await early.dispose()
  expect(digest(join(folder, "model.safetensors"))).not.toBe(digest(join(made, "model.safetensors")))
  expect(await trained({ out: folder, resume: true })).toBe(0)
  expect(digest(join(folder, "model.safetensors"))).toBe(digest(join(made, "model.safetensors")))
})

test("a target is refused, and another seed gives another model", async () => {
  await expect(trained({ out: made, model: made })).rejects.toMatchObject({ code: "E_USAGE" })
  const other = join(scratch, "other")
  await trained({ out: other, seed: 2 })
  expect(digest(join(other, "model.safetensors"))).not.toBe(digest(join(made, "model.safetensors")))
})

test("forerun race asks it the questions it came with", async () => {
  const questions = join(made, "questions.jsonl")
  const args = ["race", "-m", made, "--threads", "1", "--in", questions, "--limit", "3", "--lanes", "4", "--json"]
  const ended = await run([...args, "--seed", "1", "-n", "24", "--temperature", "1", "--option", "answer=letter"])
  expect(ended.code).toBe(0)
  const lines = objects(ended.out)
  expect(lines.at(-1)).toMatchObject({ problems: 3, failed: 0 })
  expect(lines.at(-1).lengths.mixed).toBeLessThanOrEqual(3)
  for (const { answer, traces } of lines.slice(0, 3)) {
    expect(answer).toMatch(/^[A-F]$/)
    expect(traces).toHaveLength(4)
  }
})

test.each(["looking", "blind"])(
  "the %s model that comes along is the one of its record, and walks the mazes",
  async (walker) => {
    const folder = join(repository, "weights", `tiny-maze-${walker}`)
    const { recipe: settings, weights } = readTrainingRecord(folder)
    expect(settings.walker).toBe(walker)
    expect(digest(join(folder, weights.file))).toBe(weights.sha256)
    const model = await loadModel(folder, { threads: 1 })
    const asked = readFileSync(join(folder, "questions.jsonl"), "utf8").trim().split("\n").slice(0, 40)
    let walked = 0
    for (const line of asked) {
      const { question } = JSON.parse(line) as { question: string }
      const { text, finishReason } = await model.generate(question, { temperature: 1, seed: 1, maxTokens: 24 })
      const rings = [...question.matchAll(/>([a-z]+)/g)].map(([, ring]) => ring!)
      const isWhole = rings.some((ring) => new RegExp(`^(${ring})+=[A-F]$`).test(text))
      if (isWhole && finishReason === "stop") walked++
    }
    await model.dispose()
    expect(walked).toBeGreaterThan(30)
  },
)
