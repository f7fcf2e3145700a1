/** What OpenAI's clients rely on, item by item: fields of requests, shapes of answers, the bytes of streams, errors. */
import OpenAI, { APIError, BadRequestError, RateLimitError } from "openai"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { loadTiny, type Served, serve } from "../support/served.ts"

let model: Awaited<ReturnType<typeof loadTiny>>
let served: Served
let client: OpenAI
beforeAll(async () => {
  model = await loadTiny()
  served = await serve(model, { aliases: ["meta/tiny"] })
  client = served.client
})
afterAll(async () => {
  await served?.close()
  await model?.remove()
})

const messages = [{ role: "user" as const, content: "Say the alphabet." }]
const common = { model: "tiny", messages, max_completion_tokens: 8, temperature: 0 }
/** Fields that a type does not know or does not allow. */
const ask = (fields: object) => client.chat.completions.create({ ...common, ...fields } as typeof common)
const refusal = (asked: Promise<unknown>) =>
  asked.then(
    () => undefined,
    (thrown: APIError) => thrown,
  )

describe("endpoints", () => {
  test("a model's name may hold a slash, raw or encoded", async () => {
    for (const id of ["meta/tiny", "meta%2Ftiny"])
      expect(await (await fetch(`${served.url}/v1/models/${id}`)).json()).toMatchObject({ id: "meta/tiny" })
    expect((await client.models.retrieve("meta/tiny")).id).toBe("meta/tiny")
  })

  test("paths without /v1 do, for clients that were given the bare address", async () => {
    const bare = new OpenAI({ baseURL: served.url, apiKey: "-", maxRetries: 0 })
    const [there, here] = [await ask({}), await bare.chat.completions.create(common)]
    expect(here.choices).toEqual(there.choices)
  })

  test("HEAD / says that somebody is there; OPTIONS is answered on every path", async () => {
    const head = await fetch(served.url, { method: "HEAD" })
    expect([head.status, await head.text()]).toEqual([200, ""])
    for (const path of ["/v1/chat/completions", "/v1/models", "/nowhere"])
      expect((await fetch(`${served.url}${path}`, { method: "OPTIONS" })).status).toBe(204)
  })
})

describe("requests", () => {
  test("what clients send beside the question changes nothing", async () => {
    const plain = await ask({})
    const dressed = await ask({
      ...{ user: "u", metadata: { a: "b" }, store: true, service_tier: "auto", verbosity: "low" },
      ...{ prompt_cache_key: "k", safety_identifier: "s", reasoning_effort: "low", parallel_tool_calls: true },
      ...{ modalities: ["text"] },
    })
    expect(dressed.choices).toEqual(plain.choices)
  })

  test("null means what leaving out means, in every field", async () => {
    const names = [
      ...["max_tokens", "top_p", "top_k", "min_p", "n", "stop", "stream", "stream_options", "logprobs"],
      ...["top_logprobs", "logit_bias", "presence_penalty", "frequency_penalty", "repetition_penalty", "seed"],
      ...["response_format", "tools", "tool_choice", "parallel_tool_calls", "prediction", "decoding", "user"],
    ]
    const nulls = Object.fromEntries(names.map((name) => [name, null]))
    expect((await ask(nulls)).choices).toEqual((await ask({})).choices)
  })

  test("max_completion_tokens wins over max_tokens", async () => {
    expect((await ask({ max_tokens: 2 })).usage!.completion_tokens).toBe(8)
  })

  test("stop may be one text or several", async () => {
    const { content } = (await ask({})).choices[0]!.message
    const stop = content!.slice(2, 4)
    const [one, many] = [await ask({ stop }), await ask({ stop: ["\u0000never", stop] })]
    expect(one.choices[0]).toMatchObject({ finish_reason: "stop" })
    expect(one.choices[0]!.message.content).toBe(content!.slice(0, content!.indexOf(stop)))
    expect(many.choices).toEqual(one.choices)
  })

  test("a bias of -100 forbids a token, of 100 forces it", async () => {
    const { choices } = await ask({
      logprobs: true,
      logit_bias: { "40": 100 },
      temperature: 1,
      max_completion_tokens: 4,
    })
    expect(new Set(choices[0]!.logprobs!.content!.map(({ token }) => token)).size).toBe(1)
    const { tokens, text } = await model.generate(messages, { maxTokens: 8 })
    const without = await ask({ logit_bias: { [tokens[0]!]: -100 } })
    expect(without.choices[0]!.message.content).not.toBe(text)
  })

  test("all roles, content as text or parts, calls with no content", async () => {
    const { choices } = await ask({
      messages: [
        { role: "developer", content: "Be brief." },
        {
          role: "user",
          content: [
            { type: "text", text: "One" },
            { type: "text", text: "two" },
          ],
        },
        {
          ...{ role: "assistant", content: null },
          tool_calls: [{ id: "call_1", type: "function", function: { name: "f", arguments: "{}" } }],
        },
        { role: "tool", tool_call_id: "call_1", content: "done" },
        { role: "assistant", content: [{ type: "refusal", refusal: "No." }] },
        { role: "user", content: "Again?" },
      ],
    })
    expect(choices[0]!.message.content).not.toBe("")
  })

  test.each([
    ["messages", { messages: [] }],
    ["messages", { messages: [{ role: "robot", content: "x" }] }],
    ["messages", { messages: [{ role: "user" }] }],
    ["messages", { messages: [{ role: "user", content: null }] }],
    ["messages", { messages: [{ role: "tool", content: "x" }] }],
    ["messages", { messages: [{ role: "user", content: [{ type: "text" }] }] }],
    ["messages", { messages: [{ role: "user", content: [{ type: "image_url", image_url: { url: "data:," } }] }] }],
    ["messages", { messages: [{ role: "assistant", content: null, tool_calls: [{ id: "a" }] }] }],
    ["top_logprobs", { logprobs: true, top_logprobs: 21 }],
    ["top_logprobs", { top_logprobs: 2 }],
    ["n", { n: 0 }],
    ["n", { n: 1.5 }],
    ["temperature", { temperature: -1 }],
    ["temperature", { temperature: "1" }],
    ["top_p", { top_p: 1.01 }],
    ["logit_bias", { logit_bias: { "-1": 5 } }],
    ["logit_bias", { logit_bias: { "999999999": 5 } }],
    ["logit_bias", { logit_bias: { "5": 101 } }],
    ["stop", { stop: "" }],
    ["modalities", { modalities: ["audio"] }],
    ["response_format", { response_format: { type: "xml" } }],
    ["speculative_config", { speculative_config: { method: "ngram" } }],
    ["draft_model", { draft_model: "other" }],
    ["chat_template", { chat_template: "{{ 1 }}" }],
    ["tools", { tools: [{ type: "web_search" }] }],
    ["tool_choice", { tool_choice: "required" }],
    ["prediction", { prediction: { type: "picture", content: "x" } }],
  ])("what cannot be done is a 400 that names %s: %j", async (param, fields) => {
    const failure = await refusal(ask(fields))
    expect(failure).toBeInstanceOf(BadRequestError)
    expect([failure!.param, failure!.type, failure!.headers!.get("x-should-retry")]).toEqual([
      ...[param, "invalid_request_error", "false"],
    ])
  })

  test("a schema with a keyword that cannot be kept to is refused with the keyword's name", async () => {
    const schema = { type: "object", properties: { a: { type: "array", uniqueItems: true } } }
    const failure = await refusal(
      ask({ response_format: { type: "json_schema", json_schema: { name: "x", schema, strict: true } } }),
    )
    expect(failure!.message).toContain("uniqueItems")
    const good = { $schema: "http://json-schema.org/draft-07/schema#", type: "object", additionalProperties: false }
    const format = { type: "json_schema", json_schema: { name: "x", schema: good } }
    expect((await ask({ response_format: format })).choices[0]!.message.content).toMatch(/^\{\s*\}$/)
  })
})

describe("answers", () => {
  test("a chat has every key that strict clients look for (lms#60)", async () => {
    const { choices, usage, ...named } = await ask({})
    expect(Object.keys(named)).toEqual(
      expect.arrayContaining(["id", "object", "created", "model", "system_fingerprint"]),
    )
    expect(Math.abs(named.created - Date.now() / 1000)).toBeLessThan(60)
    expect(Object.keys(choices[0]!).sort()).toEqual(["finish_reason", "index", "logprobs", "message"])
    expect(usage).toMatchObject({
      prompt_tokens_details: { cached_tokens: expect.any(Number) },
      completion_tokens_details: {
        ...{ reasoning_tokens: 0, accepted_prediction_tokens: 0, rejected_prediction_tokens: 0 },
      },
    })
  })

  test.each(["autoregressive", "prompt-lookup", "lookahead"])(
    "one log-probability for each token, under %s, whose bytes are the text",
    async (decoding) => {
      const repeating = [{ role: "user" as const, content: "abab abab abab abab" }]
      const answer = await ask({ ...{ messages: repeating, logprobs: true, top_logprobs: 3, decoding } })
      const content = answer.choices[0]!.logprobs!.content!
      expect(content).toHaveLength(answer.usage!.completion_tokens)
      const bytes = content.flatMap(({ bytes }) => bytes!)
      const { content: text } = answer.choices[0]!.message
      // A token that ended the answer has a name but no text.
      expect(new TextDecoder().decode(Uint8Array.from(bytes)).startsWith(text!)).toBe(true)
      for (const { logprob, top_logprobs: top } of content) {
        expect(top).toHaveLength(3)
        expect(Math.max(...top.map((one) => one.logprob))).toBeCloseTo(logprob, 10)
      }
    },
  )

  test.each(["autoregressive", "lookahead"])(
    "a stop text inside accepted drafts ends text, log-probabilities and usage, under %s",
    async (decoding) => {
      const prompt = [{ role: "user" as const, content: "abab abab abab abab" }]
      const long = { messages: prompt, max_completion_tokens: 60, logprobs: true, decoding }
      const whole = (await ask(long)).choices[0]!
      const text = whole.message.content!
      const stop = text.slice(text.length >> 1, (text.length >> 1) + 2)
      const cut = await ask({ ...long, stop })
      const { message, logprobs } = cut.choices[0]!
      expect(message.content).toBe(text.slice(0, text.indexOf(stop)))
      expect(logprobs!.content).toHaveLength(cut.usage!.completion_tokens)
      const shown = logprobs!.content!.map(({ token }) => token).join("")
      // The tokens reach to the stop text's last one and no further.
      expect(shown.length).toBeLessThan(message.content!.length + stop.length + 8)
      let streamed = ""
      for await (const { choices } of await client.chat.completions.create({ ...common, ...long, stop, stream: true }))
        streamed += choices[0]!.delta.content ?? ""
      expect(streamed).toBe(message.content)
    },
  )
})

describe("streams", () => {
  const raw = async (body: object) => {
    const response = await served.post("/v1/chat/completions", { ...common, ...body, stream: true })
    return { response, text: await response.text() }
  }

  test("have their headers and no bytes beside events", async () => {
    const { response, text } = await raw({})
    expect(Object.fromEntries(response.headers)).toMatchObject({
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-cache",
      "x-accel-buffering": "no",
    })
    expect(response.headers.get("content-encoding")).toBeNull()
    expect(text).toMatch(/^(data: \{[^\n]*\}\n\n)+data: \[DONE\]\n\n$/)
  })

  test("without include_usage no chunk is empty; finish_reason is null until the last (ollama#4357, KiCad#90)", async () => {
    const { text } = await raw({})
    const chunks = text
      .split("\n\n")
      .slice(0, -2)
      .map((event) => JSON.parse(event.slice("data: ".length)))
    for (const [i, { choices, object, usage }] of chunks.entries()) {
      expect([choices.length, object, usage]).toEqual([1, "chat.completion.chunk", undefined])
      expect(choices[0].finish_reason).toBe(i === chunks.length - 1 ? "length" : null)
      expect("role" in choices[0].delta).toBe(i === 0)
    }
    expect(chunks.at(-1).choices[0].delta).toEqual({})
  })

  test("never cut a character in two", async () => {
    // Every answer is made of characters of two, three and four bytes, each several tokens here.
    const pattern = "(é|€|😀|𝒳){6}"
    const { text } = await raw({
      response_format: { type: "regex", pattern },
      max_completion_tokens: 200,
      temperature: 1,
    })
    const deltas = text
      .split("\n\n")
      .slice(0, -2)
      .map((event) => JSON.parse(event.slice("data: ".length)).choices[0].delta.content ?? "")
    expect(deltas.join("")).toMatch(new RegExp(`^${pattern}$`, "u"))
    for (const delta of deltas) expect([delta.isWellFormed(), delta.includes("\ufffd")]).toEqual([true, false])
  })

  test("a call's first delta names it, the others only its index (ollama#7881)", async () => {
    const parameters = {
      type: "object",
      properties: { n: { enum: [1, 2] } },
      required: ["n"],
      additionalProperties: false,
    }
    const tools = [{ type: "function", function: { name: "count", parameters } }]
    const { text } = await raw({ tools, tool_choice: "required", max_completion_tokens: 100 })
    const calls = text
      .split("\n\n")
      .slice(0, -2)
      .flatMap((event) => JSON.parse(event.slice("data: ".length)).choices[0].delta.tool_calls ?? [])
    const firsts = calls.filter(({ id }: { id?: string }) => id !== undefined)
    for (const first of firsts)
      expect(first).toMatchObject({ type: "function", function: { name: "count", arguments: "" } })
    for (const { index } of calls) expect(index).toEqual(expect.any(Number))
    for (const rest of calls.filter((call: object) => !firsts.includes(call)))
      expect(Object.keys(rest).sort()).toEqual(["function", "index"])
  })

  test("a failure before the first byte is a status, after it an event that the client throws", async () => {
    const long = [{ role: "user" as const, content: "x".repeat(5000) }]
    const early = await refusal(client.chat.completions.create({ ...common, messages: long, stream: true }))
    expect([early!.status, early!.code, early!.param]).toEqual([400, "context_length_exceeded", "messages"])
    const hurried = await serve(model, { limits: { requestSeconds: 0.2 } })
    try {
      const endless = { ...common, max_completion_tokens: 900, logit_bias: { "264": -100 }, temperature: 1 }
      const reading = async () => {
        for await (const _ of await hurried.client.chat.completions.create({ ...endless, stream: true }));
      }
      const late = await refusal(reading())
      expect(late).toBeInstanceOf(APIError)
      expect(late!.code).toBe("timeout")
    } finally {
      await hurried.close()
    }
  })
})

describe("errors", () => {
  test("too many at a time: 429 with the time to come again, which the client keeps to", async () => {
    const busy = await serve(model, { limits: { parallel: 1, waiting: 1 } })
    try {
      const endless = { ...common, max_completion_tokens: 300, logit_bias: { "264": -100 } }
      const answers = await Promise.allSettled(
        Array.from({ length: 4 }, () => busy.client.chat.completions.create(endless)),
      )
      const refusals = answers.flatMap((answer) => (answer.status === "rejected" ? [answer.reason] : []))
      expect(refusals).toHaveLength(2)
      for (const one of refusals) {
        expect(one).toBeInstanceOf(RateLimitError)
        expect([one.type, Number(one.headers.get("retry-after"))]).toEqual(["rate_limit_error", expect.any(Number)])
        expect(one.headers.get("x-should-retry")).toBeNull()
      }
    } finally {
      await busy.close()
    }
  })

  test("every answer has a number to ask about", async () => {
    for (const path of ["/health", "/v1/models", "/nowhere"])
      expect((await fetch(`${served.url}${path}`)).headers.get("x-request-id")).toMatch(/^req_[0-9a-f]{32}$/)
  })

  test("an abort in this process is the client's own error", async () => {
    const inside = new OpenAI({ apiKey: "-", maxRetries: 0, fetch: (url, init) => model.fetch(url as string, init) })
    const controller = new AbortController()
    const endless = { ...common, max_completion_tokens: 900, logit_bias: { "264": -100 } }
    setTimeout(() => controller.abort(), 50)
    await expect(inside.chat.completions.create(endless, { signal: controller.signal })).rejects.toThrow(
      OpenAI.APIUserAbortError,
    )
  })
})
