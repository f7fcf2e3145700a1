/** The app without a socket: guards on every route, bodies that are none, turns and time limits. */
import { describe, expect, test } from "vitest"
import { createApp } from "./app.ts"
import { fakeModel } from "./fake-model.ts"
import { routes } from "./routes.ts"
import type { ServerSettings } from "./settings.ts"

const key = "sk-secret"
const make = (settings: ServerSettings = {}, model = fakeModel()) => createApp(model, { settings })

interface Ask {
  readonly method?: string
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
}

function ask(app: ReturnType<typeof make>, path: string, { body, ...init }: Ask = {}) {
  const text = body === undefined || typeof body === "string" ? body : JSON.stringify(body)
  const headers = { "content-type": "application/json", host: "127.0.0.1:1", ...init.headers }
  return app.fetch(
    new Request(`http://127.0.0.1:1${path}`, {
      ...init,
      headers,
      ...(text === undefined ? {} : { method: "POST", body: text }),
    }),
  )
}
const failure = async (response: Response) => ({
  status: response.status,
  ...((await response.json()) as { error: object }).error,
})
const chat = { messages: [{ role: "user", content: "Hi" }] }

describe("keys", () => {
  // A server whose /metrics, /tokenize or /score answered without a key is how keys were worked around elsewhere.
  const closed = routes.filter(({ isOpen }) => !isOpen)

  test.each(closed.map(({ method, path }) => [method, path.replace("*", "x")]))(
    "%s %s needs one",
    async (method, path) => {
      const app = make({ keys: [key, "other"] })
      for (const headers of [
        {},
        { authorization: "Bearer wrong" },
        { authorization: key },
        { "x-api-key": `${key}x` },
      ]) {
        const response = await ask(app, path, { method, headers })
        expect(await failure(response)).toMatchObject({
          status: 401,
          type: "authentication_error",
          code: "invalid_api_key",
        })
      }
      for (const headers of [
        { authorization: `Bearer ${key}` },
        { authorization: `bearer  ${key}` },
        { "x-api-key": "other" },
      ])
        expect((await ask(app, path, { method, headers })).status).not.toBe(401)
    },
  )

  test("only /health is open", async () => {
    expect(routes.filter(({ isOpen }) => isOpen).map(({ path }) => path)).toEqual(["/health"])
    const app = make({ keys: [key] })
    expect((await ask(app, "/health")).status).toBe(200)
    expect((await ask(app, "/nowhere")).status).toBe(401)
  })
})

describe("hosts and origins", () => {
  test.each(["localhost:1", "127.0.0.1", "[::1]:80", "192.168.0.7:1", "box.local", "a.localhost"])(
    "%s may be asked",
    async (host) => {
      expect((await ask(make({ hosts: ["box.local"] }), "/health", { headers: { host } })).status).toBe(200)
    },
  )

  test.each(["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:1", "box.local.evil", ""])(
    "a name that was made to point here is refused: %s (Ollama CVE-2024-28224)",
    async (host) => {
      const response = await ask(make({ hosts: ["box.local"] }), "/health", { headers: { host } })
      expect(await failure(response)).toMatchObject({ status: 403, type: "permission_error" })
    },
  )

  test("web pages are refused unless allowed, before anything runs", async () => {
    const model = fakeModel()
    const app = make({ origins: ["http://good.example"] }, model)
    const from = (origin: string) => ask(app, "/v1/chat/completions", { body: chat, headers: { origin } })
    expect((await from("http://evil.example")).status).toBe(403)
    expect((await from("null")).status).toBe(403)
    expect(model.asked).toEqual([])
    const allowed = await from("http://good.example")
    expect([allowed.status, allowed.headers.get("access-control-allow-origin")]).toEqual([200, "http://good.example"])
  })

  test("preflights are answered for allowed pages only", async () => {
    const app = make({ origins: ["http://good.example"] })
    const options = (origin: string) => ask(app, "/v1/models", { method: "OPTIONS", headers: { origin } })
    const [good, bad] = [await options("http://good.example"), await options("http://evil.example")]
    expect([good.status, good.headers.get("access-control-allow-headers")]).toEqual([
      204,
      expect.stringContaining("authorization"),
    ])
    expect([bad.status, bad.headers.get("access-control-allow-origin")]).toEqual([403, null])
  })
})

describe("requests that are none", () => {
  const path = "/v1/chat/completions"
  test.each([
    [415, { body: "{}", headers: { "content-type": "text/plain" } }],
    [415, { body: "{}", headers: { "content-encoding": "gzip" } }],
    [400, { body: "{" }],
    [400, { body: "[]" }],
    [400, { body: "null" }],
    [400, { body: "" }],
    [400, { body: `{"messages":${"[".repeat(5000)}${"]".repeat(5000)}}` }],
    [413, { body: { ...chat, user: "x".repeat(2000) } }],
    [400, { body: {} }],
    [405, { method: "GET" }],
    [405, { method: "DELETE" }],
  ])("%i", async (status, init) => {
    const response = await ask(make({ limits: { bodyBytes: 12_000 - (status === 413 ? 10_500 : 0) } }), path, init)
    expect(await failure(response)).toMatchObject({
      status,
      type: "invalid_request_error",
      message: expect.any(String),
    })
    expect(response.headers.get("x-should-retry")).toBe("false")
    expect(response.headers.get("x-request-id")).toMatch(/^req_/)
  })

  test("a path that is none, and one that is badly encoded", async () => {
    expect((await ask(make(), "/v2/nothing")).status).toBe(404)
    expect((await ask(make(), "/v1/models/%E0%A4%A")).status).toBeLessThan(500)
  })

  test("fields nobody knows are passed over, and named; those that would change the answer are refused", async () => {
    const app = make()
    const response = await ask(app, path, { body: { ...chat, verbosity: "low", user: "me", metadata: {} } })
    expect([response.status, response.headers.get("forerun-ignored")]).toEqual([200, "verbosity"])
    for (const param of ["min_tokens", "guided_regex", "functions", "prompt", "top_logprobs"]) {
      const refused = await ask(app, path, { body: { ...chat, [param]: 1 } })
      expect(await failure(refused)).toMatchObject({ status: 400, param })
    }
  })
})

test("the model's name is its file's", () => {
  expect(make().settings.name).toBe("fake")
})

describe("turns", () => {
  test("what is too much is refused with 429, and the turns come back", async () => {
    const model = fakeModel(true)
    const app = make({ limits: { parallel: 1, waiting: 1 } }, model)
    const post = () => ask(app, "/v1/chat/completions", { body: chat })
    const [first, second] = [post(), post()]
    await expect.poll(() => app.admission.waiting).toBe(1)
    const third = await post()
    expect([third.status, Number(third.headers.get("retry-after"))]).toEqual([429, expect.any(Number)])
    expect((await ask(app, "/health")).status).toBe(200) // needs no turn
    model.release()
    expect([(await first).status, (await second).status]).toEqual([200, 200])
    expect([app.admission.running, app.admission.waiting, model.running()]).toEqual([0, 0, 0])
  })

  test("a request that takes too long ends, whole or streamed", async () => {
    const model = fakeModel(true)
    const app = make({ limits: { requestSeconds: 0.05 } }, model)
    const whole = await ask(app, "/v1/chat/completions", { body: chat })
    expect(await failure(whole)).toMatchObject({ status: 504, code: "timeout" })
    const streamed = await ask(app, "/v1/chat/completions", { body: { ...chat, stream: true } })
    expect(await streamed.text()).toMatch(
      /data: \{"error":\{"message":"[^"]+","type":"server_error","param":null,"code":"timeout"\}\}\n\n$/,
    )
    expect([app.admission.running, model.running()]).toEqual([0, 0])
  })

  test("a reader who leaves a stream, or never reads it, gives the turn back", async () => {
    const model = fakeModel(true)
    const app = make({}, model)
    for (const leave of [
      (body: ReadableStream) => body.cancel(),
      async (body: ReadableStream) => {
        const reader = body.getReader()
        await reader.read()
        await reader.cancel()
      },
    ]) {
      const response = await ask(app, "/v1/chat/completions", { body: { ...chat, stream: true } })
      expect([app.admission.running, model.running()]).toEqual([1, 1])
      await leave(response.body!)
      await expect.poll(() => [app.admission.running, model.running()]).toEqual([0, 0])
    }
  })

  test("pings fill the silence of a stream", async () => {
    const model = fakeModel(true)
    const app = make({ limits: { pingSeconds: 0.01 } }, model)
    const response = await ask(app, "/v1/chat/completions", { body: { ...chat, stream: true } })
    setTimeout(model.release, 60)
    const text = await response.text()
    expect(text).toContain(": ping\n\n")
    expect(text).toMatch(/data: \[DONE\]\n\n$/)
  })

  test("a server that closes lets running answers end and refuses others", async () => {
    const model = fakeModel(true)
    const app = make({}, model)
    const running = ask(app, "/v1/chat/completions", { body: chat })
    await expect.poll(model.running).toBe(1)
    const drained = app.drain()
    expect((await ask(app, "/ready")).status).toBe(503)
    expect((await ask(app, "/v1/chat/completions", { body: chat })).status).toBe(503)
    model.release()
    expect((await running).status).toBe(200)
    await drained
  })
})
