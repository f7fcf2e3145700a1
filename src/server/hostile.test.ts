/** Requests made to harm: whatever a body holds, the answer is an answer or an error that says why, and the next one works. */
import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { createApp } from "./app.ts"
import { fakeModel } from "./fake-model.ts"

const ask = (app: ReturnType<typeof createApp>, path: string, body: string) =>
  app.fetch(
    new Request(`http://localhost${path}`, {
      method: "POST",
      body,
      headers: { "content-type": "application/json", host: "localhost" },
    }),
  )

/** JSON as a client may write it, numbers that JavaScript cannot hold included. */
const number = fc.constantFrom("-1", "0", "1", "2147483648", "9007199254740993", "1e309", "-1e309", "0.5", "1e-320")
const odd = fc.constantFrom(
  "null",
  "true",
  '"1"',
  '"NaN"',
  "[]",
  "{}",
  "[null]",
  '{"a":1}',
  '{"-1":5}',
  '{"1e3":1}',
  "[[[]]]",
  '"\\ud800"',
)
const value = fc.oneof(number, odd)
const fields = [
  ...["n", "max_tokens", "max_completion_tokens", "temperature", "top_p", "top_k", "min_p", "seed", "stop", "logprobs"],
  ...["top_logprobs", "logit_bias", "presence_penalty", "frequency_penalty", "repetition_penalty", "stream", "echo"],
  ...["stream_options", "response_format", "tools", "tool_choice", "prediction", "decoding", "best_of", "suffix"],
  ...["messages", "prompt", "model", "user", "metadata", "parallel_tool_calls", "__proto__", "constructor", "toString"],
]
const paths = ["/v1/chat/completions", "/v1/completions", "/steps", "/v1/embeddings", "/tokenize", "/detokenize"]
const good: Record<string, string> = {
  messages: '[{"role":"user","content":"a"}]',
  prompt: '"a"',
  input: '"a"',
  tokens: "[1]",
  max_tokens: "2",
}

describe("request numbers (vLLM CVE-2026-34756, llama-server CVE-2026-21869)", () => {
  test("any field with any value: never a failure of ours, never a hang", async () => {
    const app = createApp(fakeModel())
    const bodies = fc.record({
      path: fc.constantFrom(...paths),
      changed: fc.dictionary(fc.constantFrom(...fields), value, { maxKeys: 4 }),
    })
    await fc.assert(
      fc.asyncProperty(bodies, async ({ path, changed }) => {
        const own = path === "/v1/completions" || path === "/tokenize" || path === "/steps" ? ["prompt"] : ["messages"]
        const names = path === "/v1/embeddings" ? ["input"] : path === "/detokenize" ? ["tokens"] : own
        const parts = { ...Object.fromEntries([...names, "max_tokens"].map((name) => [name, good[name]!])), ...changed }
        const body = `{${Object.entries(parts)
          .map(([name, json]) => `${JSON.stringify(name)}:${json}`)
          .join(",")}}`
        const response = await ask(app, path, body)
        const text = await response.text()
        // The fake model has no cache, so an embedding that gets through to it fails there.
        if (path !== "/v1/embeddings") expect([body, response.status < 500]).toEqual([body, true])
        if (response.status >= 400) expect(JSON.parse(text).error.message).toEqual(expect.any(String))
        expect([app.admission.running, app.admission.waiting]).toEqual([0, 0])
      }),
      { numRuns: 400 },
    )
  }, 120_000)

  test("any text as a body", async () => {
    const app = createApp(fakeModel())
    await fc.assert(
      fc.asyncProperty(fc.oneof(fc.string(), fc.json(), fc.string({ unit: "binary" })), async (body) => {
        expect((await ask(app, "/v1/chat/completions", body)).status).toBe(400)
      }),
      { numRuns: 300 },
    )
  })

  test("n times prompts is bounded before anything runs", async () => {
    const model = fakeModel()
    const app = createApp(model, { settings: { limits: { answers: 16 } } })
    for (const body of [
      { prompt: Array.from({ length: 17 }, () => "a") },
      { prompt: ["a", "b"], n: 9 },
      { prompt: "a", n: 129 },
    ]) {
      const response = await ask(app, "/v1/completions", JSON.stringify(body))
      expect([response.status, ((await response.json()) as { error: { param: string } }).error.param]).toEqual([
        400,
        "n",
      ])
    }
    expect(model.asked).toEqual([])
  })
})

test("a failure of the model says nothing of what it saw", async () => {
  const model = fakeModel()
  const app = createApp({ ...model, generate: () => Promise.reject(new Error("/home/me/secret prompt")) })
  const response = await ask(app, "/v1/completions", '{"prompt":"a"}')
  expect(response.status).toBe(500)
  expect(await response.text()).not.toContain("secret")
})
