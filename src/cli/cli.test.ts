/** The command line as a process: what it prints, and how it ends. */
import { existsSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { afterAll, describe, expect, it } from "vitest"
import { models } from "../models/files/test-paths.ts"
import { createCommand, objects } from "./test-command.ts"

const model = join(models, "stories260k/stories260K-f32.gguf")
const { folder, run, remove } = createCommand()
afterAll(remove)

describe("bad usage", () => {
  it("gives one object on standard output, nothing on standard error, and exits 2", async () => {
    const { code, out, err } = await run(["generate", "x", "--top-p", "1.5", "--json"])
    expect([code, err]).toEqual([2, ""])
    expect(objects(out)).toEqual([{ error: { code: "E_OPTION", message: expect.stringContaining("topP") } }])
  })

  it("reads FORERUN_THREADS, and says where a bad value is from", async () => {
    const { code, err } = await run(["generate", "x"], { env: { FORERUN_THREADS: "many" } })
    expect(code).toBe(2)
    expect(err).toMatch(/^error E_OPTION: .*FORERUN_THREADS/)
  })

  it("shows help when there is nothing to do", async () => {
    const { code, out, err } = await run([])
    expect([code, out]).toEqual([2, ""])
    expect(err).toContain("Usage: forerun")
  })
})

describe("without a model", () => {
  it("says what it looked for, without a stack, and exits 1", async () => {
    const { code, out } = await run(["generate", "x", "-m", "./nowhere.gguf", "--json"])
    expect(code).toBe(1)
    const [{ error }] = objects(out)
    expect(error).toMatchObject({ code: "E_MODEL_NOT_FOUND", message: "there is no model at ./nowhere.gguf" })
    expect(Object.keys(error)).toEqual(["code", "message", "hint"])
  })

  it("adds the stack with --debug", async () => {
    const { out } = await run(["inspect", "./nowhere.gguf", "--json", "--debug"])
    expect(objects(out)[0].error.stack).toContain("findModel")
  })

  it("lists the methods and an empty store", async () => {
    const [methods, ls] = await Promise.all([run(["methods", "--json"]), run(["ls", "--json"])])
    const plain = objects(methods.out)[0].find(({ name }: { name: string }) => name === "autoregressive")
    expect(plain).toMatchObject({
      promise: "lossless",
      needs: { target: ["causal-cache"] },
      options: {},
      trained: false,
      paper: { title: expect.any(String), authors: expect.any(String), year: expect.any(Number) },
    })
    expect(objects(ls.out)).toEqual([[]])
  })
})

describe.skipIf(!existsSync(model))("on stories260K (skipped where ../shared/models has it not)", () => {
  const common = ["-m", model, "--raw", "--json", "-n", "8"]

  it("generates the contract's object and nothing else on standard output", async () => {
    const { code, out } = await run(["generate", "Once upon", ...common, "--logprobs", "2", "--seed", "7"])
    expect(code).toBe(0)
    const [result, ...more] = objects(out)
    expect(more).toEqual([])
    expect(result).toMatchObject({
      text: expect.stringMatching(/^ ?a time/),
      promptTokens: 3,
      finishReason: "length",
      method: "autoregressive",
      lossless: true,
      seed: 7,
      passes: { target: expect.any(Number), draft: 0 },
    })
    expect(result.tokens).toHaveLength(8)
    expect(result.logprobs).toHaveLength(8)
    for (const name of ["loadMs", "prefillMs", "decodeMs", "tokensPerSecond"])
      expect(result.timings[name]).toBeGreaterThan(0)
  })

  it("takes a prompt from standard input, without its last line end", async () => {
    const [piped, given] = await Promise.all([
      run(["generate", ...common], { input: "Once upon\n" }),
      run(["generate", "Once upon", ...common]),
    ])
    expect(objects(piped.out)[0].tokens).toEqual(objects(given.out)[0].tokens)
  })

  it("reads the expected answer from a file, for a method that drafts from it", async () => {
    const file = join(folder, "expected.txt")
    writeFileSync(file, " a time, there was a little girl")
    const flags = ["--prediction-file", file, ...common]
    const [drafted, refused, missing] = await Promise.all([
      run(["generate", "Once upon", "--method", "predicted-output", ...flags]),
      run(["generate", "Once upon", ...flags]),
      run(["generate", "Once upon", "--method", "predicted-output", ...common]),
    ])
    expect(objects(drafted.out)[0].speculation.acceptedPrediction).toBeGreaterThan(0)
    for (const { code, out } of [refused, missing]) expect([code, objects(out)[0].error.code]).toEqual([2, "E_OPTION"])
  })

  it("prints text alone on standard output, and the rest on standard error", async () => {
    const { code, out, err } = await run(["generate", "Once upon", "-m", model, "-n", "4"])
    expect([code, out]).toEqual([0, expect.stringMatching(/^ ?a time, there\n$/)])
    expect(err).toMatch(/weights f32 .*\n3 prompt tokens → 4 tokens/)
  })

  it("answers a file of prompts, reports its bad line and exits 1", async () => {
    const file = join(folder, "prompts.jsonl")
    const turns = { question_id: 81, category: "writing", turns: ["Tom had a ball.", "Then"] }
    writeFileSync(file, `{"id":"a","prompt":"Once upon"}\n{"id":\n${JSON.stringify(turns)}\n`)
    const { code, out } = await run(["generate", "--prompts", file, ...common])
    expect(code).toBe(1)
    const [first, bad, last, ...more] = objects(out)
    expect(more).toEqual([])
    expect(first).toMatchObject({ id: "a", finishReason: "length" })
    expect(bad).toMatchObject({ line: 2, error: { code: "E_INPUT", message: "line 2: not JSON" } })
    expect(last).toMatchObject({ id: 81, category: "writing" })
    expect(last.turns).toHaveLength(2)
    expect(last.tokens).toEqual(last.turns[0].tokens)
    expect(last.turns[1].promptTokens).toBeGreaterThan(last.turns[0].promptTokens)
  })

  it("aborts at the first Ctrl-C, with what there is and exit 130", async () => {
    // The context holds 512 tokens; a long answer is put off by stop ids that are out of reach.
    const args = ["generate", "Once upon", "-m", model, "-n", "500", "--logit-bias", "1=-100", "--logit-bias", "2=-100"]
    const { code, out } = await run(args, { interruptAt: /time/ })
    expect(code).toBe(130)
    expect(out).toMatch(/time/)
  })

  it("goes from text to ids and back", async () => {
    const text = "Tom saw a big dog."
    const { out } = await run(["tokenize", text, "-m", model, "--json"])
    const [{ tokens }] = objects(out)
    const back = await run(["detokenize", ...tokens.map(String), "-m", model, "--json"])
    expect(objects(back.out)).toEqual([{ text }])
  })

  it("inspects without loading", async () => {
    const { out } = await run(["inspect", model, "--json"])
    expect(objects(out)[0]).toMatchObject({
      architecture: "llama",
      parameters: 260_032,
      layers: 5,
      hidden: 64,
      heads: 8,
      kvHeads: 4,
      vocabulary: 512,
      context: 512,
      quantisation: { F32: expect.any(Number) },
      chatTemplate: false,
    })
  })

  it("scores a text and the same text as ids alike", async () => {
    const [textFile, tokensFile] = [join(folder, "text.txt"), join(folder, "tokens.json")]
    writeFileSync(textFile, "Once upon a time, there was a dog.")
    const generated = await run(["score", "--text-file", textFile, "-m", model, "--json"])
    const [score] = objects(generated.out)
    expect(score.logprobs).toHaveLength(score.tokens - 1)
    expect(score.perplexity).toBeCloseTo(Math.exp(score.meanNll), 9)
    const { out } = await run(["tokenize", "--text-file", textFile, "-m", model, "--json"])
    writeFileSync(tokensFile, JSON.stringify([1, ...objects(out)[0].tokens])) // this tokenizer puts <s> in front
    const again = await run(["score", "--tokens-file", tokensFile, "-m", model, "--json"])
    expect(objects(again.out)).toEqual([score])
  })

  it("refuses to chat with a model that has no template", async () => {
    const { code, out } = await run(["chat", "-m", model, "--json"], { input: "hi\n" })
    expect([code, objects(out)[0].error.code]).toEqual([1, "E_TEMPLATE"])
  })
})
