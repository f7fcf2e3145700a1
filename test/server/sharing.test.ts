/** What requests share: passes while they run beside each other, and beginnings of prompts within a key. Never bits. */
import OpenAI from "openai"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { loadTiny, type Served, serve } from "../support/served.ts"

type Tiny = Awaited<ReturnType<typeof loadTiny>>
const kept: { close?(): Promise<void>; remove?(): Promise<void> }[] = []
afterAll(async () => {
  for (const one of kept.reverse()) await (one.close ?? one.remove)?.()
})

// The tokens that would end it cannot come.
const long = { model: "tiny", max_tokens: 40, logit_bias: { "264": -100 } }

describe("passes", () => {
  let model: Tiny
  beforeAll(async () => {
    model = await loadTiny()
    kept.push(model)
  })
  const requests = Array.from({ length: 8 }, (_, i) => ({ ...long, prompt: `abc ${i}`, seed: i }))

  /** Tokens for each pass, of eight requests that come at once, and their answers. */
  async function together({ client }: Served) {
    const before = (await model.ledger()).passes
    const answers = await Promise.all(requests.map((request) => client.completions.create(request)))
    const passes = (await model.ledger()).passes - before
    return { shared: (8 * 40) / passes, texts: answers.map(({ choices }) => choices[0]!.text) }
  }

  test("of requests that come over HTTP at once run as one, as many as may run, with the same answers", async () => {
    const served = await serve(model, { limits: { parallel: 8 } })
    kept.push(served)
    const alone: string[] = []
    for (const request of requests) alone.push((await served.client.completions.create(request)).choices[0]!.text)
    let found = await together(served)
    // Passes are merged from when the runner has seen that it pays.
    for (let i = 0; i < 20 && found.shared < 4; i++) found = await together(served)
    expect(found.shared).toBeGreaterThan(4)
    expect(found.texts).toEqual(alone)
    const narrow = await serve(model, { limits: { parallel: 2 } })
    kept.push(narrow)
    const two = await together(narrow)
    expect(two.shared).toBeLessThanOrEqual(2)
    expect(two.texts).toEqual(alone)
  })
})

describe("beginnings of prompts", () => {
  const beginning = "The quick brown fox jumps over the lazy dog. ".repeat(8) // 360 bytes, a token each: two blocks
  const keys = ["sk-a", "sk-b"]
  const blockBytes = 128 * 2 * 1 * 16 * 8 // positions, layers, heads, size, keys and values in float32

  async function open(prefixBytes: number) {
    const model = await loadTiny({ prefixBytes })
    const served = await serve(model, { keys })
    kept.push(model, served)
    return (apiKey: string) => new OpenAI({ baseURL: `${served.url}/v1`, apiKey, maxRetries: 0 })
  }
  const cachedOf = ({ usage }: OpenAI.Completion) => usage!.prompt_tokens_details!.cached_tokens

  test("are read once for a key, and for each key anew", async () => {
    const as = await open(64 * blockBytes)
    const [first, second] = [as("sk-a"), as("sk-b")]
    const ask = async (client: OpenAI, end: string) =>
      cachedOf(await client.completions.create({ ...long, prompt: beginning + end, seed: 1 }))
    expect(await ask(first, "one")).toBe(0)
    expect(await ask(first, "two")).toBe(256)
    expect(await ask(second, "two")).toBe(0) // not even the very same prompt
    expect(await ask(second, "three")).toBe(256)
    const stream = await first.completions.create({
      ...{ ...long, prompt: `${beginning}four`, stream: true, stream_options: { include_usage: true } },
    })
    let cached: number | undefined
    for await (const chunk of stream) if (chunk.usage) cached = chunk.usage.prompt_tokens_details!.cached_tokens
    expect(cached).toBe(256)
    const message = { role: "user", content: beginning } as const
    const chat = { model: "tiny", messages: [message], max_tokens: 4 }
    await first.chat.completions.create(chat)
    const again = await first.chat.completions.create(chat)
    expect(again.usage!.prompt_tokens_details!.cached_tokens).toBe(256)
    const response = await first.responses.create({ model: "tiny", input: beginning, max_output_tokens: 4 })
    expect(response.usage!.input_tokens_details.cached_tokens).toBe(256)
  })

  test("change no bit of any answer, under any method", async () => {
    const [plain, cached] = [(await open(0))("sk-a"), (await open(64 * blockBytes))("sk-a")]
    const variants: object[] = [
      {},
      { temperature: 0, logprobs: 3 },
      { n: 3, logprobs: 1 },
      { decoding: "prompt-lookup" },
      { decoding: "lookahead", temperature: 0 },
      { decoding: "auto" },
      { echo: true, logprobs: 1, max_tokens: 3 },
      { repetition_penalty: 1.3, presence_penalty: 0.5 },
    ]
    for (const variant of variants) {
      const request = { ...long, prompt: `${beginning}and then`, seed: 5, ...variant }
      const wanted = await plain.completions.create(request)
      expect(cachedOf(wanted)).toBe(0)
      for (let round = 0; round < 2; round++) {
        const found = await cached.completions.create(request)
        expect(found.choices).toEqual(wanted.choices)
        if (round > 0) expect(cachedOf(found)).toBe(256)
      }
    }
  })

  test("make room for each other within their memory", async () => {
    const client = (await open(4 * blockBytes))("sk-a")
    const ask = async (prompt: string) => cachedOf(await client.completions.create({ ...long, max_tokens: 1, prompt }))
    const of = (letter: string) => letter.repeat(300)
    expect([await ask(of("a")), await ask(of("b")), await ask(of("a"))]).toEqual([0, 0, 256])
    expect(await ask(of("c"))).toBe(0) // b, not used for longer, goes
    expect([await ask(of("a")), await ask(of("b"))]).toEqual([256, 0])
  })
})
