/** Medusa's recipe on a tiny model: it learns what the target says next but one, and its part works. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { runMethod } from "../../../test/support/method-harness.ts"
import { openTestPart } from "../../../test/support/test-part.ts"
import { randomTokens, type TinyModel, tinyCheckpoint } from "../../../test/support/tiny-model.ts"
import { isLoop } from "../../decoding/loops.ts"
import { createSpeculationTally } from "../../decoding/speculation-report.ts"
import { openPartFolder } from "../../models/trained-part.ts"
import { loadRunner } from "../../runtime/load-runner.ts"
import type { SessionRunner } from "../../runtime/model-runner.ts"
import { createRandom } from "../../tensor/random.ts"
import { tinyTokenizerJson } from "../../text/test-sources.ts"
import { createTokenizer } from "../../text/tokenizer.ts"
import type { RecipeContext } from "../../train/recipe.ts"
import { resolveSettings } from "../../train/settings.ts"
import { train } from "../../train/trainer.ts"
import { autoregressive } from "../autoregressive/autoregressive.ts"
import { medusa } from "./medusa.ts"
import { recipe } from "./train.ts"

const model: TinyModel = {
  family: "llama",
  seed: 52,
  hidden: 32,
  heads: 2,
  kvHeads: 1,
  headSize: 16,
  layers: 2,
  intermediate: 64,
  vocabulary: 24,
  context: 300,
}
const checkpoint = tinyCheckpoint(model)
const folder = mkdtempSync(join(tmpdir(), "forerun-medusa-"))
const answersFile = join(folder, "answers.jsonl")
const promptOf = (i: number) => randomTokens(4, 24, i)
let target: SessionRunner

beforeAll(async () => {
  target = await loadRunner(checkpoint, { weights: "q8", threads: 1, device: "cpu" })
  const lines: string[] = []
  for (let i = 0; i < 400; i++) {
    const { outcome } = await runMethod(autoregressive, { target }, { prompt: promptOf(i), maxTokens: 24 })
    const answer = outcome.tokens.map(({ id }) => id)
    lines.push(JSON.stringify({ id: `${i}`, source: "tiny", temperature: 0, seed: 0, prompt: promptOf(i), answer }))
  }
  writeFileSync(answersFile, `${lines.join("\n")}\n`)
}, 120_000)
afterAll(async () => {
  await target.dispose()
  rmSync(folder, { recursive: true })
})

async function trained(name: string, option: Readonly<Record<string, string>>) {
  const settings = resolveSettings(recipe, { length: "27", vocabulary: "20", ...option })
  const out = join(folder, name)
  const context: RecipeContext = {
    target: checkpoint,
    tokenizer: createTokenizer({ kind: "tokenizer.json", json: tinyTokenizerJson() }),
    options: settings.options,
    data: [answersFile],
    folder: join(folder, "data"),
    random: createRandom(1),
    threads: 1,
    signal: new AbortController().signal,
    note: () => {},
  }
  const result = await train({
    recipe,
    training: await recipe.prepare(context),
    ...settings,
    target: { sha256: "0".repeat(64) },
    folder: out,
    seed: 1,
    threads: 1,
  })
  return { result, part: await openPartFolder(out) }
}

/** Tokens a round on prompts that nobody trained with; answers in circles are left out, as they are in training. */
async function meanAcceptedLength(tensors: Awaited<ReturnType<typeof trained>>["part"]["tensors"]): Promise<number> {
  const part = await openTestPart(medusa, checkpoint, () => ({ tensors }))
  const tally = createSpeculationTally()
  for (let i = 1000; i < 1040; i++) {
    const { steps, outcome } = await runMethod(
      medusa,
      { target },
      { prompt: promptOf(i), maxTokens: 24, part, options: { nodes: 3 } },
    )
    if (isLoop(outcome.tokens.map(({ id }) => id))) continue
    for (const step of steps) tally.add(step)
  }
  await part.dispose()
  return tally.report()!.meanAcceptedLength
}

describe.each([
  { matrix: "shared", labels: "hard" },
  { matrix: "own", labels: "soft" },
])("recipe %o", (option) => {
  const options = { ...option, batch: "16", learningRate: "0.01", validateEvery: "20" }

  test("trained heads beat untrained ones, and the part is what the method takes", async () => {
    const before = await trained(`before-${option.labels}`, { ...options, steps: "1", learningRate: "0" })
    const after = await trained(`after-${option.labels}`, { ...options, steps: "150" })
    expect(after.result.loss.last).toBeLessThan(after.result.loss.first - 0.1)
    expect(after.result.metric.value).toBeGreaterThan(before.result.metric.value)
    const { tensors, record } = after.part
    expect(record.recipe).toMatchObject({ heads: 3, matrix: option.matrix })
    expect(tensors.get("vocabulary")!.shape).toEqual([20])
    // The calibration's first guess is right about as often as validation says.
    expect(Math.abs(tensors.get("calibration")!.values[0]! - after.result.metric.value)).toBeLessThan(0.1)
    const [untrained, learnt] = [await meanAcceptedLength(before.part.tensors), await meanAcceptedLength(tensors)]
    expect(learnt).toBeGreaterThan(untrained + 0.1)
  }, 120_000)
})

test("needs answers, and some of them held out", async () => {
  const context = { target: checkpoint, options: resolveSettings(recipe, {}).options, note: () => {} }
  await expect(recipe.prepare({ ...context, data: [] } as never)).rejects.toMatchObject({ code: "E_USAGE" })
  const few = join(folder, "few.jsonl")
  writeFileSync(few, `${JSON.stringify({ id: "a", source: "", prompt: [1], answer: [2, 3] })}\n`)
  await expect(recipe.prepare({ ...context, data: [few] } as never)).rejects.toMatchObject({ code: "E_INPUT" })
})
