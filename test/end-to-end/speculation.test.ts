/** Speculation through loadModel: a draft model beside the target, stop strings inside a draft, reports, refusals. */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, expect, test } from "vitest"
import { type GenerateOptions, loadModel, type Model } from "../../src/index.ts"
import { tinyTokenizerJson } from "../../src/text/test-sources.ts"
import { makeTinyFolder, type TinyFolder, tinyEnd, tinyVocabulary } from "../support/tiny-folder.ts"
import { writeTinyFolder } from "../support/tiny-model.ts"

const hello = { tokens: [tinyEnd + 1, 104, 101, 108, 108, 111] }
const typed = (code: string) => expect.objectContaining({ name: "ForerunError", code })

let folder: TinyFolder
let model: Model
beforeAll(async () => {
  folder = makeTinyFolder()
  // The target drafts for itself, in fewer bits: mostly right.
  model = await loadModel(folder.path, { weights: "f32", draft: folder.path, draftWeights: "q8", threads: 1 })
})
afterAll(async () => {
  await model.dispose()
  folder.remove()
})

const speculative = [
  { method: "draft-model", options: { draftLength: 6 } },
  { method: "prompt-lookup", options: { shortestMatch: 1, perMatch: 10 } },
  { method: "lookahead", options: { level: 4 } },
  { method: "predicted-output", prediction: "hello hello, and whatever else" },
  { method: "quantised-self" },
  { method: "self-speculative", options: { exitLayer: 1 } },
  { method: "del" },
  { method: "auto", options: {} },
]

test.each(speculative)("$method: text, tokens, log-probabilities and end of plain decoding", async (way) => {
  const plainText = (await model.generate(hello, { maxTokens: 60 })).text
  const stops = [10, 25, 40].map((at) => plainText.slice(at, at + 3)).filter((stop) => stop.length === 3)
  const settings: GenerateOptions[] = [
    { maxTokens: 60, logprobs: 2 },
    { maxTokens: 60, temperature: 1, seed: 3, logprobs: 1 },
    { maxTokens: 60, temperature: 1.2, topP: 0.9, seed: 4, repetitionPenalty: 1.2, frequencyPenalty: 0.5 },
    { maxTokens: 60, temperature: 0.9, seed: 5, logitBias: { 104: 3, 108: -100 } },
    ...stops.map((stop) => ({ maxTokens: 60, stop: [stop] })),
    ...[1, 2, 3, 4, 5, 6, 7].map((maxTokens) => ({ maxTokens })),
  ]
  for (const options of settings) {
    const plain = await model.generate(hello, { seed: 1, ...options })
    const { text, tokens, finishReason, stopString, logprobs } = await model.generate(hello, {
      seed: 1,
      ...options,
      ...way,
    })
    expect({ text, tokens, finishReason, stopString, logprobs }).toEqual({
      text: plain.text,
      tokens: plain.tokens,
      finishReason: plain.finishReason,
      stopString: plain.stopString,
      logprobs: plain.logprobs,
    })
  }
})

test("what speculation did is reported, passes of both models counted", async () => {
  const result = await model.generate(hello, { maxTokens: 50, ...speculative[0]! })
  const { rounds, drafted, accepted, meanAcceptedLength, histogram } = result.speculation!
  expect(result.passes.target).toBe(rounds + 1) // and the prompt's
  expect(result.passes.draft).toBe(drafted) // each gives one token; the prompt is read with the first
  expect(accepted).toBeGreaterThan(0)
  expect(meanAcceptedLength).toBeCloseTo((result.tokens.length - 1) / rounds, 12)
  expect(histogram.reduce((sum, count, length) => sum + count * length, 0)).toBe(accepted)
  expect(model.info.draft).toMatchObject({ path: folder.path, weights: "q8" })
  const plain = await model.generate(hello, { maxTokens: 5 })
  expect(plain.speculation).toBeUndefined()
  expect(plain.passes.draft).toBe(0)
})

test("a prediction: counted by what became of it, and refused where it has no use or is missing", async () => {
  const plain = await model.generate(hello, { maxTokens: 60 })
  const ask = (options: GenerateOptions) => model.generate(hello, { maxTokens: 60, ...options })
  const right = await ask({ method: "predicted-output", prediction: plain.text })
  expect(right.tokens).toEqual(plain.tokens)
  const { acceptedPrediction, rejectedPrediction, drafted } = right.speculation!
  expect(acceptedPrediction).toBeGreaterThan(10)
  expect(acceptedPrediction! + rejectedPrediction!).toBe(drafted)
  const empty = await ask({ method: "predicted-output", prediction: "" })
  expect(empty.speculation).toMatchObject({ acceptedPrediction: 0, rejectedPrediction: 0, drafted: 0 })
  expect((await ask(speculative[0]!)).speculation).not.toHaveProperty("acceptedPrediction")
  await expect(ask({ method: "predicted-output" })).rejects.toThrow(typed("E_OPTION"))
  await expect(ask({ prediction: "hello" })).rejects.toThrow(typed("E_OPTION"))
  await expect(ask({ method: "predicted-output", prediction: 7 as never })).rejects.toThrow(typed("E_OPTION"))
})

test("the target's own weights draft without being named, in another format than its own", async () => {
  const alone = await loadModel(folder.path, { weights: "f32", threads: 1 })
  const result = await alone.generate(hello, { method: "quantised-self", maxTokens: 30 })
  expect(result.tokens).toEqual((await alone.generate(hello, { maxTokens: 30 })).tokens)
  expect(result.passes.draft).toBe(result.speculation!.drafted)
  expect(result.speculation!.accepted).toBeGreaterThan(0)
  const same = { method: "quantised-self", options: { weights: "f32" } }
  await expect(alone.generate(hello, same)).rejects.toThrow(typed("E_OPTION"))
  await alone.dispose()
})

test("without a draft model, a method that needs one is refused", async () => {
  const alone = await loadModel(folder.path, { weights: "f32", threads: 1 })
  await expect(alone.generate(hello, { method: "draft-model" })).rejects.toThrow(typed("E_DRAFT"))
  await alone.dispose()
})

test("a draft model with other tokens is refused, and the first that differs is named", async () => {
  const scratch = mkdtempSync(join(tmpdir(), "forerun-other-"))
  const json = tinyTokenizerJson() as { model: { vocab: Record<string, number> } }
  const names = Object.keys(json.model.vocab)
  const [a, b] = [
    names.find((name) => json.model.vocab[name] === 70)!,
    names.find((name) => json.model.vocab[name] === 80)!,
  ]
  const vocab = { ...json.model.vocab, [a]: 80, [b]: 70 }
  const sizes = { hidden: 32, heads: 2, kvHeads: 1, headSize: 16, layers: 1, intermediate: 32, context: 64 }
  const path = writeTinyFolder(
    { family: "llama", seed: 1, ...sizes, vocabulary: tinyVocabulary },
    join(scratch, "other"),
    { ...json, model: { ...json.model, vocab } },
  )
  await expect(loadModel(folder.path, { weights: "f32", draft: path, threads: 1 })).rejects.toThrow(
    expect.objectContaining({ code: "E_DRAFT", message: expect.stringContaining("token 70 is") }),
  )
  await expect(loadModel(folder.path, { draft: join(scratch, "absent") })).rejects.toThrow(typed("E_MODEL_NOT_FOUND"))
  rmSync(scratch, { recursive: true, force: true })
})
