/** The openai package against the server: what it gets is what the model gives, streamed and whole. */
import OpenAI, { BadRequestError, NotFoundError } from "openai"
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest"
import type { Model } from "../../src/generate/model.ts"
import { loadTiny, type Served, serve } from "../support/served.ts"

let model: Awaited<ReturnType<typeof loadTiny>>
let served: Served
let client: OpenAI
beforeAll(async () => {
  model = await loadTiny()
  served = await serve(model, { aliases: ["gpt-3.5-turbo"] })
  client = served.client
})
afterAll(async () => {
  await served?.close()
  await model?.remove()
})

const messages = [{ role: "user" as const, content: "Say the alphabet." }]
const common = { model: "tiny", messages, max_completion_tokens: 12 }

async function collect<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const one of stream) all.push(one)
  return all
}
const alone = (options: Parameters<Model["generate"]>[1]) => model.generate(messages, { maxTokens: 12, ...options })

describe("models", () => {
  test("are listed with their aliases and found by id", async () => {
    const ids = (await collect(client.models.list())).map(({ id }) => id)
    expect(ids).toEqual(["tiny", "gpt-3.5-turbo"])
    expect(await client.models.retrieve("gpt-3.5-turbo")).toMatchObject({ object: "model", owned_by: "forerun" })
    await expect(client.models.retrieve("meta/llama")).rejects.toThrow(NotFoundError)
  })

  test("another model is not found", async () => {
    const failure = await client.chat.completions.create({ ...common, model: "gpt-9" }).catch((thrown) => thrown)
    expect(failure).toBeInstanceOf(NotFoundError)
    expect(failure).toMatchObject({ code: "model_not_found", param: "model" })
  })
})

describe("chat", () => {
  test("the answer is the model's own", async () => {
    const answer = await client.chat.completions.create({ ...common, temperature: 0 })
    const result = await alone({})
    expect(answer).toMatchObject({
      id: expect.stringMatching(/^chatcmpl-/),
      object: "chat.completion",
      model: "tiny",
      system_fingerprint: expect.stringMatching(/^fp_/),
      choices: [
        {
          index: 0,
          message: { role: "assistant", content: result.text, refusal: null },
          logprobs: null,
          finish_reason: result.finishReason,
        },
      ],
      usage: {
        prompt_tokens: result.promptTokens,
        completion_tokens: result.tokens.length,
        total_tokens: result.promptTokens + result.tokens.length,
      },
    })
  })

  test("streamed: a role, texts, a reason, usage; together the whole answer", async () => {
    const request = { ...common, seed: 3, logprobs: true, top_logprobs: 2, stream_options: { include_usage: true } }
    const chunks = await collect(await client.chat.completions.create({ ...request, stream: true }))
    const { stream_options: _, ...plain } = request
    const whole = await client.chat.completions.create(plain)
    const [first, ...rest] = chunks
    expect(first!.choices[0]!.delta).toEqual({ role: "assistant", content: "", refusal: null })
    expect(new Set(chunks.map(({ id }) => id)).size).toBe(1)
    const last = rest.pop()!
    expect([last.choices, last.usage]).toEqual([[], whole.usage])
    for (const { usage } of [first!, ...rest]) expect(usage).toBeNull()
    const choices = rest.map(({ choices }) => choices[0]!)
    expect(choices.map(({ finish_reason }) => finish_reason)).toEqual([
      ...choices.slice(1).map(() => null),
      whole.choices[0]!.finish_reason,
    ])
    expect(choices.map(({ delta }) => delta.content ?? "").join("")).toBe(whole.choices[0]!.message.content)
    expect(choices.flatMap(({ logprobs }) => logprobs?.content ?? [])).toEqual(whole.choices[0]!.logprobs!.content)
  })

  test("several answers, streamed and whole, keep their indexes", async () => {
    const request = { ...common, seed: 5, n: 3 }
    const whole = await client.chat.completions.create(request)
    expect(whole.choices.map(({ index }) => index)).toEqual([0, 1, 2])
    expect(new Set(whole.choices.map(({ message }) => message.content)).size).toBe(3)
    const texts = ["", "", ""]
    const reasons: unknown[] = []
    for (const { choices } of await collect(await client.chat.completions.create({ ...request, stream: true })))
      for (const { index, delta, finish_reason } of choices) {
        texts[index] += delta.content ?? ""
        if (finish_reason) reasons[index] = finish_reason
      }
    expect(texts).toEqual(whole.choices.map(({ message }) => message.content))
    expect(reasons).toEqual(whole.choices.map(({ finish_reason }) => finish_reason))
  })

  test("the package's own reader of streams is content", async () => {
    const final = await client.chat.completions.stream({ ...common, seed: 3 }).finalChatCompletion()
    const whole = await client.chat.completions.create({ ...common, seed: 3 })
    expect(final.choices[0]!.message.content).toBe(whole.choices[0]!.message.content)
  })

  test("stop, penalties, bias and seed do what they do without a server", async () => {
    const { choices } = await client.chat.completions.create({
      ...{ ...common, seed: 11, temperature: 0.7, top_p: 0.9, presence_penalty: 1, frequency_penalty: 0.5 },
      ...{ logit_bias: { "7": 5 }, stop: ["e"] },
    })
    const result = await alone({
      ...{ seed: 11, temperature: 0.7, topP: 0.9, presencePenalty: 1, frequencyPenalty: 0.5 },
      ...{ logitBias: { 7: 5 }, stop: ["e"] },
    })
    expect(choices[0]!.message.content).toBe(result.text)
  })
})

describe("decoding", () => {
  const extra = (decoding: unknown) =>
    ({ ...common, temperature: 0, decoding }) as typeof common & { temperature: number }

  test.each(["auto", "prompt-lookup", "lookahead"])(
    "%s gives the tokens of plain decoding and its counts",
    async (method) => {
      const plain = await client.chat.completions.create({ ...common, temperature: 0 })
      const answer = await client.chat.completions.create(extra({ method }))
      expect(answer.choices).toEqual(plain.choices)
      const { metrics } = answer as unknown as { metrics: { speculative_decoding: { num_spec_steps: number } } }
      expect(metrics.speculative_decoding.num_spec_steps).toBeGreaterThan(0)
    },
  )

  test("a prediction is drafted from, and counted", async () => {
    const { text } = await alone({})
    // What is drafted follows the times of passes: on a machine that is held up, one answer may go without.
    await vi.waitFor(
      async () => {
        const answer = await client.chat.completions.create({
          ...{ ...common, temperature: 0 },
          prediction: { type: "content", content: text },
        })
        expect(answer.choices[0]!.message.content).toBe(text)
        const details = answer.usage!.completion_tokens_details!
        expect(details.accepted_prediction_tokens).toBeGreaterThan(0)
        expect(details.rejected_prediction_tokens).toBeGreaterThanOrEqual(0)
      },
      { timeout: 4000 },
    )
  })

  test.each([
    ["decoding", extra("telepathy")],
    ["decoding", extra({ method: "lookahead", speed: 9 })],
    ["decoding", extra({ method: "first-finish" })],
    ["prediction", { ...extra("lookahead"), prediction: { type: "content" as const, content: "x" } }],
  ])("what does not fit is refused by name: %s", async (param, request) => {
    const failure = await client.chat.completions.create(request).catch((thrown) => thrown)
    expect(failure).toBeInstanceOf(BadRequestError)
    expect(failure.param).toBe(param)
  })
})

describe("completions", () => {
  test("texts and token ids, several at once, in order", async () => {
    const request = { model: "tiny", max_tokens: 5, temperature: 0 }
    const together = await client.completions.create({ ...request, prompt: ["ab", "cd"], n: 1 })
    expect(together.choices.map(({ index }) => index)).toEqual([0, 1])
    for (const [i, prompt] of ["ab", "cd"].entries()) {
      const ids = Array.from(await model.tokenize(prompt, { bos: true }))
      const single = await client.completions.create({ ...request, prompt: ids })
      expect(single.choices[0]!.text).toBe(together.choices[i]!.text)
    }
    const streamed = ["", ""]
    const stream = await client.completions.create({ ...request, prompt: ["ab", "cd"], stream: true })
    for (const { choices } of await collect(stream)) for (const { index, text } of choices) streamed[index] += text
    expect(streamed).toEqual(together.choices.map(({ text }) => text))
  })

  test("echo: the prompt's own log-probabilities, as an evaluation asks for them", async () => {
    const tokens = Array.from(await model.tokenize("hello there", { bos: true }))
    const request = { model: "tiny", prompt: tokens, max_tokens: 1, temperature: 0, logprobs: 1, echo: true, seed: 1 }
    const { choices, usage } = await client.completions.create(request)
    const score = await model.score(tokens, { top: 1 })
    const logprobs = choices[0]!.logprobs!
    expect(logprobs.token_logprobs!.slice(0, tokens.length)).toEqual([null, ...score.logprobs])
    expect(logprobs.tokens).toHaveLength(tokens.length + 1)
    expect(logprobs.text_offset![1]).toBe(logprobs.tokens![0]!.length)
    const best = logprobs.top_logprobs!.slice(1, tokens.length).map((top) => Math.max(...Object.values(top)))
    expect(best).toEqual(score.top!.map(([top]) => top!.logprob))
    expect(usage).toMatchObject({ prompt_tokens: tokens.length, completion_tokens: 1 })
    const nothing = await client.completions.create({ ...request, max_tokens: 0 })
    expect(nothing.choices[0]!.logprobs!.tokens).toHaveLength(tokens.length)
    expect(nothing.usage!.completion_tokens).toBe(0)
  })
})

describe("in this process", () => {
  test("the same app is a fetch for the client: no socket, no key", async () => {
    const { createApp } = await import("../../src/server/index.ts")
    const app = createApp(model, { settings: { name: "tiny" }, isTrusted: true })
    const inside = new OpenAI({ apiKey: "-", fetch: (url, init) => app.fetch(new Request(url, init)) })
    const [there, here] = await Promise.all(
      [client, inside].map((one) => one.chat.completions.create({ ...common, seed: 2 })),
    )
    expect(here!.choices).toEqual(there!.choices)
    const stream = await inside.chat.completions.create({ ...common, seed: 2, stream: true })
    const text = (await collect(stream)).map(({ choices }) => choices[0]!.delta.content ?? "").join("")
    expect(text).toBe(there!.choices[0]!.message.content)
  })
})
