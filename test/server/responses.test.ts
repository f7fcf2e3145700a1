/** The responses API through the openai package: the answer of a chat, as items and as events. */
import type OpenAI from "openai"
import { afterAll, beforeAll, expect, test } from "vitest"
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

const common = { model: "tiny", temperature: 0, max_output_tokens: 8 }

test("a text, with instructions: what a chat with a system message says", async () => {
  const response = await client.responses.create({ ...common, instructions: "Be brief.", input: "Hello" })
  const messages = [
    { role: "system" as const, content: "Be brief." },
    { role: "user" as const, content: "Hello" },
  ]
  const chat = await client.chat.completions.create({ model: "tiny", temperature: 0, max_tokens: 8, messages })
  expect(response.output_text).toBe(chat.choices[0]!.message.content)
  expect(response.usage).toMatchObject({ input_tokens: chat.usage!.prompt_tokens, output_tokens: 8 })
  expect([response.status, response.incomplete_details]).toEqual(["incomplete", { reason: "max_output_tokens" }])
})

test("streamed: numbered events that build the response which ends them", async () => {
  const stream = client.responses.stream({
    ...common,
    input: [{ role: "user", content: [{ type: "input_text", text: "Hello" }] }],
  })
  const types: string[] = []
  let text = ""
  let last = -1
  for await (const event of stream) {
    types.push(event.type)
    expect(event.sequence_number).toBe(++last)
    if (event.type === "response.output_text.delta") text += event.delta
  }
  const final = await stream.finalResponse()
  expect(types.slice(0, 4)).toEqual([
    ...["response.created", "response.in_progress", "response.output_item.added", "response.content_part.added"],
  ])
  expect(types.at(-1)).toBe("response.incomplete")
  expect(final.output_text).toBe(text)
  expect(text).not.toBe("")
})

test("a call, and its result in the next request", async () => {
  const parameters = {
    type: "object",
    properties: { n: { enum: [1, 2] } },
    required: ["n"],
    additionalProperties: false,
  }
  const tools = [{ type: "function" as const, name: "count", parameters, strict: true }]
  const request = { ...common, max_output_tokens: 80, tools, tool_choice: { type: "function" as const, name: "count" } }
  const first = await client.responses.create({ ...request, input: "Count." })
  const call = first.output[0]!
  if (call.type !== "function_call") throw new Error(`a call was expected, found ${call.type}`)
  expect([call.name, [1, 2].includes(JSON.parse(call.arguments).n), first.status]).toEqual(["count", true, "completed"])
  const second = await client.responses.create({
    ...common,
    input: [
      { role: "user", content: "Count." },
      call,
      { type: "function_call_output", call_id: call.call_id, output: "two" },
    ],
  })
  expect(second.output_text).not.toBe("")
})

test.each([
  ["previous_response_id", { input: "x", previous_response_id: "resp_1" }],
  ["input", { input: [{ type: "item_reference", id: "x" }] }],
  ["input", {}],
  ["input", { input: [{ role: "user", content: [{ type: "input_image", image_url: "http://169.254.169.254/" }] }] }],
])("what is not done here is refused by name: %s", async (param, body) => {
  const response = await served.post("/v1/responses", { model: "tiny", ...body })
  expect([response.status, ((await response.json()) as { error: { param: string } }).error.param]).toEqual([400, param])
})
