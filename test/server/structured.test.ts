/** Structured output and calls of tools through the openai package. */
import type OpenAI from "openai"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { loadTiny, type Served, serve } from "../support/served.ts"

let model: Awaited<ReturnType<typeof loadTiny>>
let served: Served
let client: OpenAI
beforeAll(async () => {
  model = await loadTiny()
  served = await serve(model)
  client = served.client
})
afterAll(async () => {
  await served?.close()
  await model?.remove()
})

const common = { model: "tiny", messages: [{ role: "user" as const, content: "Go." }], max_tokens: 120, seed: 3 }
const schema = {
  type: "object",
  properties: { city: { enum: ["Rome", "Oslo"] }, days: { type: "integer", minimum: 1, maximum: 9 } },
  required: ["city", "days"],
  additionalProperties: false,
}
const json_schema = { name: "trip", schema, strict: true }

describe("formats", () => {
  test.each(["autoregressive", "auto", "lookahead"])("a schema under %s, streamed and whole", async (decoding) => {
    const request = { ...common, response_format: { type: "json_schema" as const, json_schema }, decoding }
    const { choices } = await client.chat.completions.create(request)
    const trip = JSON.parse(choices[0]!.message.content!)
    expect([["Rome", "Oslo"].includes(trip.city), Number.isInteger(trip.days), choices[0]!.finish_reason]).toEqual([
      true,
      true,
      "stop",
    ])
    const final = await client.chat.completions.stream(request).finalChatCompletion()
    expect(JSON.parse(final.choices[0]!.message.content!)).toEqual(trip)
  })

  test("any object, a pattern and a grammar", async () => {
    const ask = async (response_format: object) => {
      const { choices } = await client.chat.completions.create({ ...common, response_format } as typeof common)
      return (choices as OpenAI.ChatCompletion.Choice[])[0]!.message.content!
    }
    expect(await ask({ type: "regex", pattern: "[a-c]{3}-\\d{2}" })).toMatch(/^[a-c]{3}-\d{2}$/)
    expect(await ask({ type: "grammar", grammar: 'root ::= "yes" | "no"' })).toMatch(/^(yes|no)$/)
    expect(await ask({ type: "json_object" })).toMatch(/^\{/)
  })

  test.each([
    { type: "json_schema", json_schema: { name: "x", schema: { not: {} } } },
    { type: "regex", pattern: "foo**" },
    { type: "regex", pattern: "(?<=a)b" },
    { type: "grammar", grammar: "root ::= x" },
    { type: "json_schema" },
  ])("what cannot be kept to is refused, before anything is sent: %j (vLLM #17313)", async (response_format) => {
    for (const stream of [false, true]) {
      const response = await served.post("/v1/chat/completions", { ...common, response_format, stream })
      const { error } = (await response.json()) as { error: object }
      expect([response.status, error]).toEqual([400, expect.objectContaining({ param: "response_format" })])
    }
    expect((await client.chat.completions.create(common)).choices).toHaveLength(1)
  })
})

describe("tools", () => {
  const tools = [
    { type: "function" as const, function: { name: "plan_trip", description: "Plans", parameters: schema } },
    { type: "function" as const, function: { name: "rest" } },
  ]

  test("one that is named is called, with arguments of its schema", async () => {
    const tool_choice = { type: "function" as const, function: { name: "plan_trip" } }
    const { choices } = await client.chat.completions.create({ ...common, tools, tool_choice })
    const [call] = choices[0]!.message.tool_calls!
    expect(choices[0]).toMatchObject({ finish_reason: "tool_calls", message: { content: null } })
    expect(call).toMatchObject({
      id: expect.stringMatching(/^call_/),
      type: "function",
      function: { name: "plan_trip" },
    })
    const args = JSON.parse((call as { function: { arguments: string } }).function.arguments)
    expect(Object.keys(args)).toEqual(["city", "days"])
  })

  test("streamed: the same call, put together by the package", async () => {
    const request = { ...common, tools, tool_choice: { type: "function" as const, function: { name: "plan_trip" } } }
    const whole = await client.chat.completions.create(request)
    const final = await client.chat.completions.stream(request).finalChatCompletion()
    const functions = [whole, final].map(({ choices }) =>
      choices[0]!.message.tool_calls!.map((call) => {
        const { name, arguments: args } = (call as { function: { name: string; arguments: string } }).function
        return { name, args }
      }),
    )
    expect(functions[1]).toEqual(functions[0])
    expect(final.choices[0]!.finish_reason).toBe("tool_calls")
  })

  test("the answer of a tool goes back into the conversation", async () => {
    const messages = [
      ...common.messages,
      {
        role: "assistant" as const,
        content: null,
        tool_calls: [{ id: "call_1", type: "function" as const, function: { name: "rest", arguments: "{}" } }],
      },
      { role: "tool" as const, tool_call_id: "call_1", content: "rested" },
    ]
    const { usage } = await client.chat.completions.create({
      ...common,
      messages,
      tools,
      tool_choice: "none",
      max_tokens: 4,
    })
    expect(usage!.completion_tokens).toBe(4)
  })
})
