/** generate, stream, forward and score through loadModel: the engine in its thread, a random model from a folder. */
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { type GenerateOptions, loadModel, type Model, type StreamEvent } from "../../src/index.ts"
import { makeTinyFolder, type TinyFolder, tinyEnd, tinyVocabulary } from "../support/tiny-folder.ts"
import { largest, openRunner, range } from "../support/tiny-runner.ts"

const hello = { tokens: [tinyEnd + 1, 104, 101, 108, 108, 111] }
const typed = (code: string) => expect.objectContaining({ name: "ForerunError", code })

let folder: TinyFolder
let model: Model
beforeAll(async () => {
  folder = makeTinyFolder()
  model = await loadModel(folder.path, { weights: "f32", threads: 1 })
})
afterAll(async () => {
  await model.dispose()
  folder.remove()
})

async function collect(options: GenerateOptions) {
  const events: StreamEvent[] = []
  const run = model.stream(hello, options)
  for (;;) {
    const next = await run.next()
    if (next.done) return { events, result: next.value }
    events.push(next.value)
  }
}

describe("generate", () => {
  test("greedy: the tokens of a runner in this thread", async () => {
    const { runner, dispose } = await openRunner(folder.path)
    const cache = runner.openCache()
    let input = Int32Array.from(hello.tokens)
    const expected: number[] = []
    for (const _ of range(30)) {
      const pass = await runner.forward({ input: { tokens: input }, cache, want: { logits: "last" } })
      pass.keep(range(input.length))
      expected.push(largest(pass.logits!.data))
      input = Int32Array.of(expected.at(-1)!)
    }
    await dispose()
    const result = await model.generate(hello, { maxTokens: 30 })
    const end = expected.indexOf(tinyEnd)
    expect(result.tokens).toEqual(end < 0 ? expected : expected.slice(0, end + 1))
    expect(result).toMatchObject({ promptTokens: 6, method: "autoregressive", lossless: true, finishReason: "length" })
    expect(result.passes).toEqual({ target: result.tokens.length, draft: 0 })
    expect(result.text).toBe(await model.detokenize(result.tokens))
  })

  test("a seed gives the same tokens again, and is reported when it was not given", async () => {
    const hot = { temperature: 1, maxTokens: 20 }
    const first = await model.generate(hello, { ...hot, seed: 11 })
    expect((await model.generate(hello, { ...hot, seed: 11 })).tokens).toEqual(first.tokens)
    expect((await model.generate(hello, { ...hot, seed: 12 })).tokens).not.toEqual(first.tokens)
    const free = await model.generate(hello, hot)
    expect((await model.generate(hello, { ...hot, seed: free.seed })).tokens).toEqual(free.tokens)
  })

  test("several answers: each its own stream, the first as if it were alone", async () => {
    const hot = { temperature: 1.3, maxTokens: 20, seed: 11 }
    const alone = await model.generate(hello, hot)
    const { events, result } = await collect({ ...hot, n: 3 })
    expect(result.choices).toHaveLength(3)
    expect(result.tokens).toEqual(alone.tokens)
    expect(new Set(result.choices!.map(({ tokens }) => tokens.join())).size).toBe(3)
    const again = await model.generate(hello, { ...hot, n: 2 })
    expect(again.choices!.map(({ text }) => text)).toEqual(result.choices!.slice(0, 2).map(({ text }) => text))
    for (const [branch, { text, tokens }] of result.choices!.entries()) {
      const own = events.filter((event) => "branch" in event && event.branch === branch)
      expect([own[0]!.type, own.at(-1)!.type]).toEqual(["branch-started", "branch-ended"])
      expect(own.flatMap((event) => (event.type === "text-appended" ? event.text : [])).join("")).toBe(text)
      const ids = own.flatMap((event) => (event.type === "tokens-committed" ? event.tokens.map(({ id }) => id) : []))
      expect(ids).toEqual(tokens)
    }
    expect(alone).not.toHaveProperty("choices")
    const none = await model.generate(hello, { ...hot, n: 2, signal: AbortSignal.abort() })
    expect(none.choices!.map(({ tokens, finishReason }) => [tokens, finishReason])).toEqual([
      [[], "abort"],
      [[], "abort"],
    ])
  })

  test("logprobs: the model's own, sorted, one report a token", async () => {
    const { tokens, logprobs } = await model.generate(hello, { maxTokens: 8, logprobs: 3 })
    expect(logprobs!.map(({ id }) => id)).toEqual(tokens)
    const score = await model.score([...hello.tokens, ...tokens])
    const own = score.logprobs.slice(hello.tokens.length - 1)
    for (const [i, { logprob, top }] of logprobs!.entries()) {
      expect(logprob).toBeCloseTo(own[i]!, 5)
      expect(top).toHaveLength(3)
      expect(top[0]).toMatchObject({ token: tokens[i], logprob }) // greedy takes the likeliest
      expect(top[1]!.logprob).toBeLessThanOrEqual(top[0]!.logprob)
    }
    expect(await model.generate(hello, { maxTokens: 2 })).not.toHaveProperty("logprobs")
  })

  test("stop strings across tokens: nothing of them and nothing after them", async () => {
    const free = await model.generate(hello, { maxTokens: 40, temperature: 1.3, seed: 3 })
    const clean = [...free.text.matchAll(/[\x21-\x7e]{3}/g)].map(([text]) => text)
    const stop = clean[1] ?? clean[0]
    expect(stop, "the sample has three printable characters in a row").toBeDefined()
    const result = await model.generate(hello, { maxTokens: 40, temperature: 1.3, seed: 3, stop: ["never~", stop!] })
    expect(result.text).toBe(free.text.slice(0, free.text.indexOf(stop!)))
    expect(result).toMatchObject({ finishReason: "stop", stopString: stop })
    expect(result.tokens).toEqual(free.tokens.slice(0, result.tokens.length))
    expect(result.tokens.length).toBeLessThan(free.tokens.length)
  })

  test("the limit and the context end it to the token", async () => {
    expect((await model.generate(hello, { maxTokens: 7, temperature: 1, seed: 1 })).tokens.length).toBeLessThanOrEqual(
      7,
    )
    const bias = { [tinyEnd]: -100 }
    const full = await model.generate(
      { tokens: range(380, 0).map((i) => i % 256) },
      { maxTokens: 100, logitBias: bias },
    )
    expect([full.tokens.length, full.finishReason]).toEqual([384 - 380, "length"])
  })

  test("two at once, each as if it were alone", async () => {
    const settings = range(4).map((seed) => ({ temperature: 1, seed, maxTokens: 25 }))
    const alone = []
    for (const options of settings) alone.push((await model.generate(hello, options)).tokens)
    const together = await Promise.all(settings.map((options) => model.generate(hello, options)))
    expect(together.map(({ tokens }) => tokens)).toEqual(alone)
  })
})

describe("stream", () => {
  test("replaying its events gives its result, which is generate's", async () => {
    for (const options of [{ maxTokens: 30 }, { maxTokens: 30, temperature: 1.2, seed: 8, logprobs: 2 }]) {
      const { events, result } = await collect(options)
      const tokens = events.flatMap((event) => (event.type === "tokens-committed" ? event.tokens : []))
      const positions = events.flatMap((event) => (event.type === "tokens-committed" ? event.positions : []))
      const text = events.map((event) => (event.type === "text-appended" ? event.text : "")).join("")
      expect(tokens.map(({ id }) => id)).toEqual(result.tokens)
      expect(positions).toEqual(range(tokens.length, hello.tokens.length))
      expect(text).toBe(result.text)
      expect(JSON.parse(JSON.stringify(events))).toEqual(events)
      const { timings: _, ...plain } = await model.generate(hello, { ...options, seed: result.seed })
      expect(plain).toEqual({ ...result, timings: undefined })
    }
  })

  test("events come while it runs, not at its end", async () => {
    const run = model.stream(hello, { maxTokens: 300, logitBias: { [tinyEnd]: -100 } })
    await run.next()
    const { passes } = await model.ledger()
    await run.return(undefined as never)
    const before = await model.ledger()
    expect(before.passes - passes).toBeLessThan(250) // it was not finished when its first event came
  })

  test("leaving the loop early stops the engine within one pass", async () => {
    for await (const _ of model.stream(hello, { maxTokens: 300, logitBias: { [tinyEnd]: -100 } })) break
    await model.tokenize("a turn of the engine's loop")
    const { passes } = await model.ledger()
    await model.tokenize("and another")
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect((await model.ledger()).passes - passes).toBeLessThanOrEqual(1)
  })

  test("errors arrive typed, at the first event", async () => {
    await expect(model.stream(hello, { temperature: Number.NaN }).next()).rejects.toEqual(typed("E_OPTION"))
  })
})

describe("refused, with a type, across the thread", () => {
  const wrong: readonly GenerateOptions[] = [
    { temperature: Number.NaN },
    { temperature: -1 },
    { temperature: Number.POSITIVE_INFINITY },
    { topK: 1.5 },
    { topP: 1.01 },
    { minP: -0.1 },
    { repetitionPenalty: 0 },
    { seed: 0.5 },
    { maxTokens: 0 },
    { maxTokens: Number.NaN },
    { n: 0 },
    { n: 1.5 },
    { n: 129 },
    { logprobs: 21 },
    { logprobs: Number.NaN },
    { stop: [""] },
    { logitBias: { [tinyVocabulary]: 1 } },
    { options: { unheard: 1 } },
  ]
  test.each(wrong)("E_OPTION: %o", async (options) => {
    await expect(model.generate(hello, options)).rejects.toEqual(typed("E_OPTION"))
  })

  test("prompts: too long, empty, of other tokens, of no kind", async () => {
    await expect(model.generate({ tokens: range(384).map(() => 1) })).rejects.toEqual(typed("E_CONTEXT_LENGTH"))
    await expect(model.generate("x".repeat(100_000), { raw: true })).rejects.toEqual(typed("E_CONTEXT_LENGTH"))
    await expect(model.generate({ tokens: [] })).rejects.toEqual(typed("E_INPUT"))
    await expect(model.generate({ tokens: [1, 300] })).rejects.toEqual(typed("E_INPUT"))
    await expect(model.generate(42 as never)).rejects.toEqual(expect.objectContaining({ name: "ForerunError" }))
  })

  test("an unknown method, with the names there are", async () => {
    const error = model.generate(hello, { method: "oracle" })
    await expect(error).rejects.toThrow(/autoregressive/)
    await expect(error).rejects.toEqual(typed("E_METHOD_NOT_FOUND"))
  })

  test("and the model still answers", async () => {
    expect((await model.generate(hello, { maxTokens: 3 })).tokens.length).toBeGreaterThan(0)
  })
})
