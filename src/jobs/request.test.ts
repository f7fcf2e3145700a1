/** Lines of a batch, good and bad; bodies whose every parameter is honoured or refused by name. */
import { describe, expect, test } from "vitest"
import { isBadLine, type JobRequest, readRequests } from "./request.ts"
import { answerable, RequestError } from "./request-options.ts"

const line = (more: object = {}) =>
  JSON.stringify({ custom_id: "a", method: "POST", url: "/v1/completions", body: { prompt: "x" }, ...more })

describe("lines", () => {
  test("requests in order, empty lines and a byte order mark passed over, CRLF taken", () => {
    const read = readRequests(`\uFEFF${line()}\r\n\n  \n${line({ custom_id: "b" })}`)
    expect(read).toEqual(
      ["a", "b"].map((customId, position) => ({ position, customId, url: "/v1/completions", body: { prompt: "x" } })),
    )
  })

  test.each([
    ["{", /line 1: not JSON/],
    ["[1]", /not a JSON object/],
    ["null", /not a JSON object/],
    [line({ custom_id: undefined }), /needs a custom_id/],
    [line({ custom_id: 3 }), /needs a custom_id/],
    [line({ custom_id: "" }), /needs a custom_id/],
    [line({ method: "GET" }), /method must be POST, found "GET"/],
    [line({ url: "/v1/embeddings" }), /url must be one of .* found "\/v1\/embeddings"/],
    [line({ url: undefined }), /found nothing/],
    [line({ body: [] }), /body must be an object/],
  ])("%s fails alone", (text, message) => {
    const [bad, good] = readRequests(`${text}\n${line({ custom_id: "good" })}`)
    expect(bad).toMatchObject({ position: 0, error: { code: "E_INPUT", message: expect.stringMatching(message) } })
    expect(good).toMatchObject({ position: 1, customId: "good" })
  })

  test("of two with one custom_id the first is the request", () => {
    const read = readRequests([line(), line(), line({ custom_id: "b" })].join("\n"))
    expect(read.map(isBadLine)).toEqual([false, true, false])
    expect(read[1]).toMatchObject({ customId: "a", error: { message: 'line 2: the custom_id "a" is taken' } })
  })
})

const chat = (body: object): JobRequest => ({
  ...{ position: 0, customId: "a", url: "/v1/chat/completions" },
  body: { messages: [{ role: "user", content: "Hi" }], ...body },
})
const completion = (body: object): JobRequest => ({
  ...{ position: 0, customId: "a", url: "/v1/completions" },
  body: { prompt: "Hi", ...body },
})
const refusedFor = (request: JobRequest): string => {
  try {
    answerable(request)
  } catch (thrown) {
    if (thrown instanceof RequestError) return thrown.param
    throw thrown
  }
  return "accepted"
}

describe("bodies", () => {
  test("every generation parameter arrives under our name", () => {
    const body = {
      ...{ temperature: 0.5, top_p: 0.9, top_k: 40, min_p: 0.1, seed: 7, stop: "END", max_completion_tokens: 9 },
      ...{ presence_penalty: 1, frequency_penalty: -1, repetition_penalty: 1.1, logit_bias: { "5": -100 } },
      ...{ logprobs: true, top_logprobs: 3, model: "any", user: "me", n: 2, stream: false, tools: [] },
    }
    expect(answerable(chat(body))).toEqual({
      prompt: [{ role: "user", content: "Hi" }],
      options: {
        ...{ temperature: 0.5, topP: 0.9, topK: 40, minP: 0.1, seed: 7, stop: ["END"], maxTokens: 9 },
        ...{
          presencePenalty: 1,
          frequencyPenalty: -1,
          repetitionPenalty: 1.1,
          logitBias: { "5": -100 },
          logprobs: 3,
          n: 2,
        },
      },
    })
  })

  test("completions: text is taken as it is, ids too; logprobs is a number", () => {
    const { prompt, options } = answerable(completion({ max_tokens: 4, logprobs: 0, stop: ["a", "b"], echo: false }))
    expect([prompt, options]).toEqual(["Hi", { raw: true, maxTokens: 4, logprobs: 0, stop: ["a", "b"] }])
    expect(answerable(completion({ prompt: [1, 2] })).prompt).toEqual({ tokens: [1, 2] })
    expect(answerable(completion({ prompt: ["only"] })).prompt).toBe("only")
    expect(answerable(completion({ prompt: [[1, 2]] })).prompt).toEqual({ tokens: [1, 2] })
  })

  test("null means: not given; defaults hold for what is not given", () => {
    const { options } = answerable(chat({ temperature: null, max_tokens: null, stop: null, seed: 3 }), {
      temperature: 0.3,
      maxTokens: 5,
      seed: 1,
    })
    expect(options).toEqual({ temperature: 0.3, maxTokens: 5, seed: 3 })
  })

  test.each([
    ["n", chat({ n: 0 })],
    ["n", chat({ n: 1.5 })],
    ["stream", chat({ stream: true })],
    ["tools", chat({ tools: [{ type: "function" }] })],
    ["tool_choice", chat({ tool_choice: "auto" })],
    ["response_format", chat({ response_format: { type: "xml" } })],
    ["response_format", chat({ response_format: { type: "json_schema", json_schema: { schema: { not: {} } } } })],
    ["reasoning_effort", chat({ reasoning_effort: "low" })],
    ["temprature", chat({ temprature: 1 })],
    ["temperature", chat({ temperature: -1 })],
    ["temperature", chat({ temperature: "hot" })],
    ["top_p", chat({ top_p: 1.5 })],
    ["seed", chat({ seed: 0.5 })],
    ["max_tokens", chat({ max_tokens: 0 })],
    ["max_tokens", chat({ max_completion_tokens: 2.5 })],
    ["stop", chat({ stop: [""] })],
    ["stop", chat({ stop: 5 })],
    ["logit_bias", chat({ logit_bias: { x: 1 } })],
    ["logprobs", chat({ logprobs: 2 })],
    ["logprobs", chat({ logprobs: true, top_logprobs: 21 })],
    ["top_logprobs", chat({ top_logprobs: 2 })],
    ["messages", chat({ messages: [] })],
    ["messages", chat({ messages: "Hi" })],
    ["prompt", chat({ prompt: "x" })],
    ["prompt", completion({ prompt: ["a", "b"] })],
    ["prompt", completion({ prompt: [] })],
    ["messages", completion({ messages: [] })],
    ["max_completion_tokens", completion({ max_completion_tokens: 3 })],
    ["best_of", completion({ best_of: 2 })],
    ["echo", completion({ echo: true })],
    ["suffix", completion({ suffix: "end" })],
    ["__proto__", completion(JSON.parse('{"__proto__": 1}'))],
    ["toString", completion({ toString: 1 })],
  ])("refuses by name: %s", (param, request) => {
    expect(refusedFor(request)).toBe(param)
  })
})
