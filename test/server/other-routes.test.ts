/** Every route that is no completion, through a socket: tokens, embeddings, methods, steps, metrics, descriptions. */
import { createParser } from "eventsource-parser"
import { afterAll, beforeAll, expect, test } from "vitest"
import { methodNames } from "../../src/methods/index.ts"
import { loadTiny, type Served, serve } from "../support/served.ts"

let model: Awaited<ReturnType<typeof loadTiny>>
let served: Served
beforeAll(async () => {
  model = await loadTiny()
  served = await serve(model)
})
afterAll(async () => {
  await served?.close()
  await model?.remove()
})

// biome-ignore lint/suspicious/noExplicitAny: what comes is looked at
type Json = any
const get = async (path: string): Promise<Json> => (await fetch(`${served.url}${path}`)).json()
const post = async (path: string, body: unknown): Promise<Json> => (await served.post(path, body)).json()
const dot = (a: readonly number[], b: readonly number[]) => a.reduce((sum, x, i) => sum + x * b[i]!, 0)

test("tokens there and back, with the model's own begin token", async () => {
  const { tokens } = await post("/tokenize", { prompt: "hello" })
  const { tokens: plain } = await post("/tokenize", { prompt: "hello", add_special_tokens: false })
  expect(plain).toEqual(Array.from(await model.tokenize("hello")))
  expect(await post("/detokenize", { tokens: plain })).toEqual({ prompt: "hello" })
  expect(tokens.slice(-plain.length)).toEqual(plain)
  const info = await get("/tokenizer_info")
  expect(info).toMatchObject({
    eos_token: expect.any(String),
    vocab_size: expect.any(Number),
    chat_template: expect.any(String),
  })
  expect((await served.post("/detokenize", { tokens: [999_999] })).status).toBe(400)
})

test("embeddings: floats and base64 are the same vector of length 1, and the order is kept (M11)", async () => {
  const input = ["one", "two and more", "one"]
  const { data } = await served.client.embeddings.create({ model: "tiny", input }) // asks for base64 by itself
  const { data: floats, usage } = await post("/v1/embeddings", { model: "tiny", input })
  const vectors: number[][] = floats.map(({ embedding }: { embedding: number[] }) => embedding)
  expect(data.map(({ index }) => index)).toEqual([0, 1, 2])
  expect(data.map(({ embedding }) => Array.from(embedding))).toEqual(vectors)
  expect(vectors[0]).toHaveLength(model.info.config.hidden)
  expect(vectors[2]).toEqual(vectors[0])
  for (const vector of vectors) expect(dot(vector, vector)).toBeCloseTo(1, 5)
  expect(dot(vectors[0]!, vectors[1]!)).toBeLessThan(0.9999)
  expect(usage.prompt_tokens).toBeGreaterThan(3)
  const { data: short } = await post("/v1/embeddings", { input: "one", dimensions: 8 })
  expect(dot(short[0].embedding, short[0].embedding)).toBeCloseTo(1, 5)
  expect(short[0].embedding).toHaveLength(8)
})

test("a text longer than a pass has the embedding of its tokens, and one longer than the context has none", async () => {
  const tokens = Array.from({ length: 300 }, (_, i) => 10 + (i % 200))
  const { data } = await post("/v1/embeddings", { input: tokens })
  const pass = await model.forward({
    input: { tokens: Int32Array.from(tokens.slice(0, 100)) },
    want: { hidden: ["final"] },
  })
  expect(pass.hidden.get("final")!.rows).toBe(100)
  expect(dot(data[0].embedding, data[0].embedding)).toBeCloseTo(1, 5)
  const response = await served.post("/v1/embeddings", { input: Array.from({ length: 1100 }, () => 10) })
  expect([response.status, ((await response.json()) as Json).error]).toEqual([
    400,
    expect.objectContaining({ code: "context_length_exceeded", param: "input" }),
  ])
})

test("methods are those of the registry, with their options", async () => {
  const { data } = await get("/methods")
  expect(data.map(({ name }: { name: string }) => name)).toEqual(methodNames)
  expect(data[0]).toMatchObject({ promise: expect.any(String), options: expect.any(Object) })
})

test("steps: replaying what is committed gives the result", async () => {
  const response = await served.post("/steps", {
    prompt: "abcabcabc",
    max_tokens: 20,
    temperature: 0,
    decoding: "lookahead",
  })
  expect(response.headers.get("content-type")).toMatch(/^text\/event-stream/)
  const events: string[] = []
  const parser = createParser({ onEvent: ({ data }) => events.push(data) })
  parser.feed(await response.text())
  expect(events.pop()).toBe("[DONE]")
  const steps = events.map((event) => JSON.parse(event))
  const { result } = steps.pop()
  const committed = steps.filter(({ type }) => type === "tokens-committed").flatMap(({ tokens }) => tokens)
  expect(committed.map(({ id }: { id: number }) => id)).toEqual(result.tokens)
  expect(steps.map(({ type }) => type)).toContain("draft-verified")
  const refused = await served.post("/steps", { prompt: ["a", "b"] })
  expect([refused.status, ((await refused.json()) as Json).error.param]).toEqual([400, "prompt"])
})

test("metrics count what was asked, and hold no prompt", async () => {
  await post("/v1/completions", { prompt: "a secret text", max_tokens: 4 })
  const text = await (await fetch(`${served.url}/metrics`)).text()
  expect(text).toMatch(/forerun_http_requests_total\{route="\/v1\/completions",status="200"\} [1-9]/)
  expect(text).toMatch(/forerun_generation_tokens_total [1-9]/)
  expect(text).toMatch(/forerun_num_requests_running 0/)
  expect(text).toContain("nodejs_eventloop_lag_seconds")
  expect(text).not.toContain("secret")
})

test("the description names every route and body; the page needs nothing from elsewhere", async () => {
  const description = await get("/openapi.json")
  expect(description.openapi).toBe("3.1.0")
  const chat = description.paths["/v1/chat/completions"].post.requestBody.content["application/json"].schema
  expect(chat.required).toEqual(["messages"])
  expect(chat.properties.temperature).toBeDefined()
  expect(Object.keys(description.paths)).toContain("/v1/models/{id}")
  const page = await (await fetch(`${served.url}/docs`)).text()
  expect(page).toContain("/v1/embeddings")
  expect(page).not.toMatch(/<script|(src|href)="?http/)
})
