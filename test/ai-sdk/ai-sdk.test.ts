/** The AI SDK itself, versions 7 and 6, over our provider: texts, streams, objects, tools, embeddings, aborts. */
import * as seven from "ai"
import { APICallError } from "ai"
import * as six from "ai-6"
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest"
import { z } from "zod"
import { createForerun } from "../../src/ai-sdk/index.ts"
import { loadTiny, type Served, serve } from "../support/served.ts"

let model: Awaited<ReturnType<typeof loadTiny>>
let served: Served
beforeAll(async () => {
  globalThis.AI_SDK_LOG_WARNINGS = false
  model = await loadTiny()
  served = await serve(model, { keys: ["k"] })
})
afterAll(async () => {
  await served?.close()
  await model?.remove()
})

const trip = z.object({ city: z.enum(["Rome", "Oslo"]), days: z.int().min(1).max(9) })
const prompt = "Say the alphabet."
const messages = [{ role: "user", content: prompt }]
const common = { prompt, maxOutputTokens: 12, temperature: 0, maxRetries: 0 }

/** What both majors have alike, as far as it is called here. */
const sdks = [
  { name: "ai 7, specification v4", ai: seven, forerun: () => createForerun({ model })() },
  {
    name: "ai 6, specification v3",
    ai: six as unknown as typeof seven,
    forerun: () => createForerun({ model, version: "v3" })(),
  },
] as const

describe.each(sdks)("$name", ({ ai, forerun: languageModel }) => {
  const forerun = () => languageModel() as seven.LanguageModel

  test("a text is the model's own, with its usage and reason", async () => {
    const answer = await ai.generateText({ ...common, model: forerun() })
    const result = await model.generate(messages, { maxTokens: 12 })
    expect([answer.text, answer.finishReason, answer.warnings ?? []]).toEqual([result.text, result.finishReason, []])
    expect(answer.usage).toMatchObject({ inputTokens: result.promptTokens, outputTokens: result.tokens.length })
    expect(answer.providerMetadata?.forerun).toMatchObject({ acceptedPredictionTokens: 0 })
  })

  test("settings reach the model", async () => {
    const settings = { temperature: 0.8, topP: 0.9, topK: 40, presencePenalty: 1, frequencyPenalty: 0.5, seed: 7 }
    const { text } = await ai.generateText({ ...common, ...settings, stopSequences: ["e"], model: forerun() })
    const result = await model.generate(messages, { maxTokens: 12, ...settings, stop: ["e"] })
    expect(text).toBe(result.text)
    const { temperature: _, ...rest } = common
    const other = await ai.generateText({ ...rest, seed: 7, model: forerun() })
    expect(other.text).not.toBe(text)
  })

  test("streamed: the whole text in pieces, then reason and usage", async () => {
    const whole = await ai.generateText({ ...common, model: forerun() })
    const stream = ai.streamText({ ...common, model: forerun() })
    const pieces: string[] = []
    for await (const piece of stream.textStream) pieces.push(piece)
    expect(pieces.length).toBeGreaterThan(1)
    expect([pieces.join(""), await stream.finishReason]).toEqual([whole.text, whole.finishReason])
    const { inputTokens, outputTokens } = whole.usage
    expect(await stream.usage).toMatchObject({ inputTokens, outputTokens })
  })

  test("a method and a prediction by providerOptions; their counts by providerMetadata", async () => {
    const plain = await ai.generateText({ ...common, model: forerun() })
    const ask = (options: Record<string, string>) =>
      ai.generateText({ ...common, model: forerun(), providerOptions: { forerun: options } })
    const looked = await ask({ decoding: "lookahead" })
    expect(looked.text).toBe(plain.text)
    expect(looked.providerMetadata!.forerun).toMatchObject({ speculation: { num_spec_steps: expect.any(Number) } })
    // What is drafted follows the times of passes: on a machine that is held up, one answer may go without.
    await vi.waitFor(
      async () => {
        const predicted = await ask({ prediction: plain.text })
        expect(predicted.text).toBe(plain.text)
        expect(predicted.providerMetadata!.forerun!.acceptedPredictionTokens).toBeGreaterThan(0)
      },
      { timeout: 4000 },
    )
  })

  test("objects keep to their schema, whole and streamed", async () => {
    const request = { model: forerun(), prompt: "Plan.", seed: 3, maxOutputTokens: 120, maxRetries: 0 }
    const { object } = await ai.generateObject({ ...request, schema: trip })
    expect(trip.parse(object)).toEqual(object)
    const streamed = ai.streamObject({ ...request, schema: trip })
    for await (const _ of streamed.partialObjectStream);
    expect(await streamed.object).toEqual(object)
    const { output } = await ai.generateText({ ...request, output: ai.Output.object({ schema: trip }) })
    expect(output).toEqual(object)
  })

  test("tools are called with arguments of their schema; results go back in", async () => {
    const asked: unknown[] = []
    const plan = ai.tool({
      description: "Plans a trip",
      inputSchema: trip,
      execute: (input) => {
        asked.push(input)
        return `${input.days} days in ${input.city}`
      },
    })
    const tools = { plan }
    const request = { model: forerun(), prompt: "Plan.", seed: 3, maxOutputTokens: 120, maxRetries: 0, tools }
    const called = await ai.generateText({ ...request, toolChoice: { type: "tool", toolName: "plan" } })
    expect(called.finishReason).toBe("tool-calls")
    expect(called.toolCalls.map(({ toolName, input }) => [toolName, trip.safeParse(input).success])).toEqual([
      ["plan", true],
    ])
    expect(asked).toEqual([called.toolCalls[0]!.input])
    const streamed = ai.streamText({ ...request, toolChoice: { type: "tool", toolName: "plan" } })
    const types: string[] = []
    for await (const { type } of streamed.fullStream) types.push(type)
    expect(types).toEqual(expect.arrayContaining(["tool-input-start", "tool-input-delta", "tool-call", "tool-result"]))
    expect((await streamed.toolCalls)[0]!.input).toEqual(called.toolCalls[0]!.input)
    const { prompt: asks, ...again } = request
    const short = { ...again, toolChoice: "none" as const, maxOutputTokens: 4 }
    const before = await ai.generateText({ ...short, prompt: asks })
    const after = await ai.generateText({
      ...short,
      messages: [{ role: "user", content: asks }, ...called.response.messages],
    })
    // At least the call's and the result's letters, of which a token holds few.
    expect(after.usage.inputTokens! - before.usage.inputTokens!).toBeGreaterThan(20)
  })

  test("an abort ends a whole answer and a streamed one, and the engine's work", async () => {
    const long = { model: forerun(), prompt, maxOutputTokens: 900, maxRetries: 0, seed: 1 }
    const bias = { providerOptions: { forerun: { logitBias: { "264": -100 } } } }
    const late = AbortSignal.timeout(100)
    await expect(ai.generateText({ ...long, ...bias, abortSignal: late })).rejects.toThrow()
    expect(late.aborted).toBe(true)
    const controller = new AbortController()
    const stream = ai.streamText({ ...long, ...bias, abortSignal: controller.signal, onError: () => {} })
    let pieces = 0
    for await (const { type } of stream.fullStream) if (type === "text-delta" && ++pieces === 3) controller.abort()
    expect(pieces).toBeLessThan(100)
    const { passes } = await model.ledger()
    await new Promise((resolve) => setTimeout(resolve, 200))
    expect((await model.ledger()).passes - passes).toBeLessThanOrEqual(1)
  })

  test("what is not done here is a warning, or an error that is not tried again", async () => {
    const { warnings } = await ai.generateText({
      ...{ ...common, model: forerun() },
      providerOptions: { forerun: { telepathy: true } },
    })
    expect(warnings).toEqual([{ type: "unsupported", feature: "providerOptions.forerun.telepathy" }])
    const failure = await ai
      .generateText({ ...common, model: forerun(), providerOptions: { forerun: { decoding: "telepathy" } } })
      .catch((thrown) => thrown)
    expect(APICallError.isInstance(failure)).toBe(true)
    expect(failure).toMatchObject({ statusCode: 400, isRetryable: false, data: { param: "decoding" } })
    const image = [{ type: "file" as const, data: new Uint8Array([137, 80, 78, 71]), mediaType: "image/png" }]
    const refused = ai.generateText({ model: forerun(), messages: [{ role: "user", content: image }], maxRetries: 0 })
    await expect(refused).rejects.toThrow(/files \(image/)
  })
})

test.each([seven, six as unknown as typeof seven])("embeddings are the server's", async (ai) => {
  const version = ai === seven ? ("v4" as const) : ("v3" as const)
  const provider = createForerun({ model, version })
  const values = ["one", "two", "three"]
  const { embeddings, usage } = await ai.embedMany({ model: provider.embeddingModel() as seven.EmbeddingModel, values })
  const { data } = await createClient().embeddings.create({ model: "tiny", input: values })
  for (const [i, { embedding }] of data.entries())
    for (const [j, number] of embedding.entries()) expect(embeddings[i]![j]).toBeCloseTo(number, 6)
  expect(usage.tokens).toBeGreaterThan(3)
})

const createClient = () => served.client.withOptions({ apiKey: "k" })

test("over HTTP, with a key: the answer of the same model in this process", async () => {
  const remote = createForerun({ baseURL: `${served.url}/v1/`, apiKey: "k" })
  const { text } = await seven.generateText({ ...common, model: remote("tiny") })
  expect(text).toBe((await seven.generateText({ ...common, model: createForerun({ model })() })).text)
  const failure = await seven
    .generateText({ ...common, model: createForerun({ baseURL: `${served.url}/v1`, apiKey: "x" })("tiny") })
    .catch((thrown) => thrown)
  expect(failure).toMatchObject({ statusCode: 401, isRetryable: false })
  const nobody = createForerun({ baseURL: "http://127.0.0.1:9/v1" })("tiny")
  await expect(seven.generateText({ ...common, model: nobody })).rejects.toThrow(/no answer from/)
})
