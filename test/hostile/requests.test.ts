/** Fuzzed requests on a model that runs: no failure of ours, no hang, nobody else's answer touched. FUZZ_RUNS, FUZZ_SEED. */
import { readFileSync } from "node:fs"
import { createParser } from "eventsource-parser"
import fc from "fast-check"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { type App, createApp } from "../../src/server/app.ts"
import { loadTiny } from "../support/served.ts"
import { anyEbnf, anyRegex, anyRequest, anySchema, type FuzzRequest } from "./request-arbitraries.ts"

const runs = Number(process.env.FUZZ_RUNS ?? 60)
const settings = { seed: Number(process.env.FUZZ_SEED ?? 8), numRuns: runs }

let model: Awaited<ReturnType<typeof loadTiny>>
let app: App
let alone: string
beforeAll(async () => {
  model = await loadTiny()
  app = createApp(model, { settings: { name: "tiny", defaults: { maxTokens: 8 }, limits: { requestSeconds: 60 } } })
  alone = await bystander()
})
afterAll(() => model?.remove())

const ask = ({ path, body }: FuzzRequest) =>
  app.fetch(
    new Request(`http://localhost${path}`, {
      method: "POST",
      headers: { "content-type": "application/json", host: "localhost" },
      body: typeof body === "string" ? body : JSON.stringify(body),
    }),
  )

/** Somebody else's request. */
async function bystander(): Promise<string> {
  const body = { prompt: "abc abc", max_tokens: 12, seed: 3, logprobs: 1 }
  const answer = (await (await ask({ path: "/v1/completions", body })).json()) as { choices: object[] }
  return JSON.stringify(answer.choices)
}

function events(text: string): unknown[] {
  const found: string[] = []
  createParser({ onEvent: ({ data }) => found.push(data) }).feed(text)
  return found.map((data) => (data === "[DONE]" ? data : JSON.parse(data)))
}

/** After the first event a failure is an event of its own, which must be the request's fault too. */
function hasEnded(last: unknown): boolean {
  if (last === "[DONE]") return true
  const { type, code, error } = last as { type?: string; code?: string; error?: { type: string } }
  if (error) return error.type === "invalid_request_error"
  if (type === "error") return !["E_INTERNAL", "E_RUNTIME"].includes(code!)
  return ["response.completed", "response.incomplete"].includes(type!)
}

/** An answer, a refusal that says why, or a stream that ends as streams end. */
async function isSound(request: FuzzRequest): Promise<void> {
  const [response, other] = await Promise.all([ask(request), bystander()])
  const text = await response.text()
  const what = JSON.stringify(request).slice(0, 2000)
  expect([what, response.status < 500, text.slice(0, 300)]).toEqual([what, true, text.slice(0, 300)])
  if (response.status >= 400) expect(JSON.parse(text).error.message).toEqual(expect.any(String))
  else if (response.headers.get("content-type")?.startsWith("text/event-stream")) {
    const last = events(text).at(-1)
    expect([what, last, hasEnded(last)]).toEqual([what, last, true])
  } else JSON.parse(text)
  expect([what, other]).toEqual([what, alone])
  expect([app.admission.running, app.admission.waiting]).toEqual([0, 0])
}

describe("found before", () => {
  const corpus: readonly (FuzzRequest & { readonly name: string })[] = JSON.parse(
    readFileSync(new URL("./corpus/requests.json", import.meta.url), "utf8"),
  )
  test.each(corpus)("$name", isSound)
})

test("bodies", () => fc.assert(fc.asyncProperty(anyRequest, isSound), settings), 600_000)

const formatted = (response_format: object, stream: boolean): FuzzRequest => ({
  path: "/v1/chat/completions",
  body: { messages: [{ role: "user", content: "Go." }], max_tokens: 6, response_format, stream },
})

test(
  "schemas",
  () =>
    fc.assert(
      fc.asyncProperty(anySchema, fc.boolean(), (schema, stream) =>
        isSound(formatted({ type: "json_schema", json_schema: { name: "x", schema, strict: true } }, stream)),
      ),
      settings,
    ),
  600_000,
)

test(
  "expressions",
  () =>
    fc.assert(
      fc.asyncProperty(anyRegex, fc.boolean(), (pattern, stream) =>
        isSound(formatted({ type: "regex", pattern }, stream)),
      ),
      settings,
    ),
  600_000,
)

test(
  "grammars",
  () =>
    fc.assert(
      fc.asyncProperty(anyEbnf, fc.boolean(), (grammar, stream) =>
        isSound(formatted({ type: "grammar", grammar }, stream)),
      ),
      settings,
    ),
  600_000,
)
