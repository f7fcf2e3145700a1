/** A batch on a random model: plain generation's answers, what is saved is the plan's optimum, failures stay alone. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { makeTinyFolder, type TinyFolder, tinyVocabulary } from "../../test/support/tiny-folder.ts"
import { randomTokens } from "../../test/support/tiny-model.ts"
import { loadModel } from "../generate/load.ts"
import type { Model } from "../generate/model.ts"
import { createLocalExecutor } from "./local-executor.ts"
import { withStore } from "./open-store.ts"
import type { JobSettings } from "./prepare-job.ts"
import { type JobRun, runJob } from "./run-job.ts"

const folder = mkdtempSync(join(tmpdir(), "forerun-local-"))
let tiny: TinyFolder
let model: Model
beforeAll(async () => {
  tiny = makeTinyFolder()
  model = await loadModel(tiny.path, { weights: "f32", threads: 1 })
})
afterAll(async () => {
  await model.dispose()
  tiny.remove()
  rmSync(folder, { recursive: true, force: true })
})

const settings: JobSettings = { plan: "exact", order: "ratio", blockSize: 1, defaults: { maxTokens: 6 } }
const prefixes = [1, 2, 3].map((seed) => randomTokens(140, 250, seed))
const prompts = Array.from({ length: 9 }, (_, i) => [...prefixes[i % 3]!, 10 + i, 20])
const line = (id: string, body: object, url = "/v1/completions") =>
  JSON.stringify({ custom_id: id, method: "POST", url, body })
const text = (more: object = {}) => prompts.map((prompt, i) => line(`r${i}`, { prompt, ...more })).join("\n")

let count = 0
async function run(input: string, changed: Partial<JobSettings> = {}, signal = new AbortController().signal) {
  const out = join(folder, `${++count}.jsonl`)
  let result: JobRun
  await withStore(`${out}.job`, { signal, leaseSeconds: 1 }, async (store) => {
    result = await runJob(store, createLocalExecutor(model), {
      ...{ text: input, out, settings: { ...settings, ...changed }, signal },
    })
  })
  const lines = readFileSync(out, "utf8").trim().split("\n")
  return { ...result!, lines: lines.map((one) => JSON.parse(one)) }
}
const texts = (lines: readonly { response: { body: { choices: { text: string }[] } } }[]) =>
  lines.map(({ response }) => response.body.choices[0]!.text)

test("answers are those of generate, each prefix is read once, the saving is the plan's", async () => {
  const before = await model.ledger()
  const { counts, record, lines } = await run(text())
  const rows = (await model.ledger()).rows - before.rows
  expect(record.plan).toMatchObject({ groups: 3, sharing: 3, logicalTokens: 9 * 142, physicalTokens: 3 * 140 + 9 * 2 })
  expect(counts).toMatchObject({ requests: 9, answered: 9, failed: 0, promptTokens: 9 * 142 })
  expect(counts.computedTokens).toBe(record.plan.physicalTokens)
  expect(rows).toBe(record.plan.physicalTokens + counts.completionTokens - 9)
  const alone = []
  for (const tokens of prompts) alone.push((await model.generate({ tokens }, { maxTokens: 6 })).text)
  expect(texts(lines)).toEqual(alone)
  expect(lines.map(({ custom_id }) => custom_id)).toEqual(prompts.map((_, i) => `r${i}`))
})

test.each(["autoregressive", "prompt-lookup"])(
  "%s: a cache that holds the beginning changes no bit",
  async (method) => {
    const tokens = prompts[0]!
    const past = await model.openCache()
    const pass = await model.forward({ input: { tokens: Int32Array.from(tokens.slice(0, 130)) }, cache: past })
    await pass.keep(Array.from({ length: 130 }, (_, row) => row))
    const hot = { method, maxTokens: 12, temperature: 1, seed: 3, logprobs: 3 }
    const { passes: _, timings: __, cachedTokens: none, ...plain } = await model.generate({ tokens }, hot)
    expect(none).toBe(0)
    for (let twice = 0; twice < 2; twice++) {
      const before = await model.ledger()
      const { passes, timings: ___, cachedTokens, ...begun } = await model.generate({ tokens }, { ...hot, past })
      expect(begun).toEqual(plain)
      expect(cachedTokens).toBe(130)
      expect(passes.target).toBeLessThanOrEqual(12)
      // Only what is behind the cache is read, and the cache is not written.
      expect((await model.ledger()).rows - before.rows).toBeLessThan(130)
      expect(past.length).toBe(130)
    }
    await expect(model.generate({ tokens: tokens.slice(0, 130) }, { past })).rejects.toMatchObject({ code: "E_INPUT" })
    await past.dispose()
    await expect(model.generate({ tokens }, { past })).rejects.toMatchObject({ code: "E_DISPOSED" })
  },
)

describe("ablation", () => {
  test("no plan, another order, blocks: other costs, the same answers, sampled ones too", async () => {
    const hot = text({ temperature: 1.3 })
    const settled = await run(hot)
    // The seeds come from the job, and other settings are another job; so these are given.
    const seeded = prompts.map((prompt, i) => line(`r${i}`, { prompt, temperature: 1.3, seed: i })).join("\n")
    const exact = await run(seeded)
    for (const changed of [{ plan: "none" }, { order: "arrival" }, { blockSize: 128 }, { plan: "paper" }] as const) {
      const { lines, counts, record } = await run(seeded, changed)
      expect(texts(lines)).toEqual(texts(exact.lines))
      expect(counts.computedTokens).toBe(record.plan.physicalTokens)
    }
    expect(texts((await run(hot)).lines)).toEqual(texts(settled.lines))
  })
})

test("failures stay alone: no JSON, a bad parameter, too long, outside the vocabulary, no chat template", async () => {
  const input = [
    line("good", { prompt: prompts[0] }),
    "{",
    line("parameter", { prompt: "x", n: 0 }),
    line("long", { prompt: randomTokens(400, 250, 5) }),
    line("vocabulary", { prompt: [tinyVocabulary + 5] }),
    line("bias", { prompt: prompts[0], logit_bias: { [tinyVocabulary + 5]: 1 } }),
    line("chat", { messages: [{ role: "user", content: "Hi" }] }, "/v1/chat/completions"),
    line("empty", { prompt: [] }),
    line("too", { prompt: prompts[0] }),
  ].join("\n")
  const { counts, lines } = await run(input)
  expect(counts).toMatchObject({ requests: 9, answered: 9, failed: 7 })
  const codes = lines.map(({ response, error }) => error?.code ?? response.body.error?.code ?? response.status_code)
  expect(codes).toEqual([
    ...[200, "E_INPUT", "E_OPTION", "E_CONTEXT_LENGTH", "E_INPUT", "E_OPTION", "E_TEMPLATE", "E_INPUT", 200],
  ])
  expect(texts([lines[0], lines[8]])[0]).toBe(texts([lines[0], lines[8]])[1])
})

test("n answers to a prompt, which is read once", async () => {
  const before = await model.ledger()
  const { counts, lines } = await run(line("several", { prompt: prompts[0], n: 3, temperature: 1.2, seed: 4 }))
  const rows = (await model.ledger()).rows - before.rows
  const alone = await model.generate({ tokens: prompts[0]! }, { maxTokens: 6, n: 3, temperature: 1.2, seed: 4 })
  const found = lines[0].response.body.choices.map(({ text }: { text: string }) => text)
  expect(found).toEqual(alone.choices!.map(({ text }) => text))
  expect(new Set(found).size).toBe(3)
  expect(counts.computedTokens).toBe(141 + 3)
  expect(rows).toBe(counts.computedTokens + counts.completionTokens - 3)
})

test("aborted, it keeps what it has; given again, it goes on; nothing is answered twice", async () => {
  const out = join(folder, "aborted.jsonl")
  const begin = (signal: AbortSignal, onProgress: (answered: number) => void) =>
    withStore(`${out}.job`, { signal, leaseSeconds: 1 }, (store) =>
      runJob(store, createLocalExecutor(model, { concurrency: 1 }), {
        ...{ text: text(), out, settings, signal },
        onProgress: ({ answered }) => onProgress(answered),
      }),
    )
  const controller = new AbortController()
  const first = await begin(controller.signal, (answered) => answered === 4 && controller.abort())
  expect(first.counts.answered).toBe(4)
  expect(readFileSync(out, "utf8").trim().split("\n")).toHaveLength(4)
  const seen: number[] = []
  const second = await begin(new AbortController().signal, (answered) => seen.push(answered))
  expect(seen).toEqual([4, 5, 6, 7, 8, 9])
  expect(second.counts.answered).toBe(9)
  // Groups of three: the second was cut off after one answer, so its prefix was read twice and no other.
  expect(second.counts.computedTokens).toBe(second.record.plan.physicalTokens + 140)
  expect(
    texts(
      readFileSync(out, "utf8")
        .trim()
        .split("\n")
        .map((one) => JSON.parse(one)),
    ),
  ).toEqual(texts((await run(text())).lines))
})

test("a model that is gone stops the job instead of failing every request", async () => {
  const other = await loadModel(tiny.path, { weights: "f32", threads: 1 })
  const signal = new AbortController().signal
  const out = join(folder, "gone.jsonl")
  const attempt = withStore(`${out}.job`, { signal, leaseSeconds: 1 }, (store) =>
    runJob(store, createLocalExecutor(other), {
      ...{ text: text(), out, settings, signal },
      onProgress: ({ answered }) => void (answered === 2 && other.dispose()),
    }),
  )
  await expect(attempt).rejects.toMatchObject({ code: "E_DISPOSED" })
})
