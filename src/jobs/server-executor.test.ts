/** A batch on somebody else's server: the same plan makes its prefix cache work; its failures are told apart. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, afterEach, beforeEach, describe, expect, test } from "vitest"
import { type FakeServer, startFakeServer } from "./fake-server.ts"
import { withStore } from "./open-store.ts"
import type { JobSettings } from "./prepare-job.ts"
import { type JobRun, runJob } from "./run-job.ts"
import { createServerExecutor, type ServerExecutorOptions } from "./server-executor.ts"

const folder = mkdtempSync(join(tmpdir(), "forerun-server-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

let server: FakeServer
beforeEach(async () => {
  server = await startFakeServer()
})
afterEach(() => server.close())

const settings: JobSettings = { plan: "exact", order: "ratio", blockSize: 1, defaults: {} }

/** 24 requests over 4 long beginnings, in the worst order for a cache that remembers two prompts. */
const prompts = Array.from({ length: 24 }, (_, i) => `${`document ${i % 4} `.repeat(20)}question ${i}`)
const text = prompts
  .map((prompt, i) =>
    JSON.stringify({ custom_id: `r${i}`, method: "POST", url: "/v1/completions", body: { prompt, max_tokens: 8 } }),
  )
  .join("\n")

let count = 0
async function run(more: Partial<ServerExecutorOptions> = {}, changed: Partial<JobSettings> = {}, input = text) {
  const out = join(folder, `${++count}.jsonl`)
  const signal = new AbortController().signal
  let result: JobRun
  await withStore(`${out}.job`, { signal, leaseSeconds: 1 }, async (store) => {
    const executor = createServerExecutor({ url: server.url, retryMs: 1, ...more })
    result = await runJob(store, executor, { text: input, out, settings: { ...settings, ...changed }, signal })
  })
  const lines = readFileSync(out, "utf8").trim().split("\n")
  return { ...result!, lines: lines.map((line) => JSON.parse(line)) }
}

describe("the plan", () => {
  test("groups requests by prefix, so a small cache is enough; without it nearly nothing is shared", async () => {
    const planned = await run({ concurrency: 1 })
    const saved = ({ counts }: JobRun) => 1 - counts.computedTokens / counts.promptTokens
    const order = server.requests.map(({ body }) => Number(/document (\d)/.exec(String(body.prompt))![1]))
    expect(order).toEqual([0, 1, 2, 3].flatMap((document) => new Array<number>(6).fill(document)))
    const plain = await run({ concurrency: 1 }, { plan: "none", order: "arrival" })
    expect(saved(planned)).toBeGreaterThan(0.75)
    expect(saved(plain)).toBeLessThan(0.1)
    expect(planned.lines.map(({ response }) => response.body.choices)).toEqual(
      plain.lines.map(({ response }) => response.body.choices),
    )
  })

  test("a group's first request goes alone, the rest together, never more than allowed", async () => {
    const alone: number[] = []
    server.hook = ({ body }) => {
      const document = Number(/document (\d)/.exec(String(body.prompt))![1])
      alone.push(document)
      return false
    }
    const { counts } = await run({ concurrency: 4 })
    expect(server.busiest()).toBeGreaterThan(1)
    expect(server.busiest()).toBeLessThanOrEqual(4)
    expect([...alone.slice(0, 4)].sort()).toEqual([0, 1, 2, 3]) // four groups at a time, each with its first
    expect(counts).toMatchObject({ requests: 24, answered: 24, failed: 0 })
  })
})

test("bodies arrive as they were written, with the defaults, the server's model and the key", async () => {
  const body = { prompt: "x", model: "mine", n: 2, unheard_of: { deep: [1] }, temperature: 0.5 }
  const input = JSON.stringify({ custom_id: "a", method: "POST", url: "/v1/completions", body })
  const defaults = { temperature: 1, topP: 0.5, maxTokens: 3, method: "autoregressive" }
  const { lines } = await run({ model: "theirs", apiKey: "secret", url: `${server.url}/v1/` }, { defaults }, input)
  expect(server.requests).toEqual([
    {
      path: "/v1/completions",
      auth: "Bearer secret",
      body: { ...body, model: "theirs", top_p: 0.5, max_tokens: 3 },
    },
  ])
  expect(lines[0]).toMatchObject({
    custom_id: "a",
    response: { status_code: 200, body: { choices: [{ text: "<x>" }] } },
  })
})

describe("failures", () => {
  const answerWith = (status: number, times: number, body: unknown = { error: { message: "no" } }, delay = 0) => {
    let left = times
    server.hook = (request, response) => {
      if (!String(request.body.prompt).endsWith("question 5") || left-- <= 0) return false
      response.statusCode = status
      setTimeout(() => response.end(JSON.stringify(body)), delay)
      return true
    }
  }

  test("what passes is tried again", async () => {
    for (const status of [408, 429, 500, 503]) {
      answerWith(status, 2)
      expect((await run()).counts).toMatchObject({ answered: 24, failed: 0 })
    }
  })

  test("a request's own fault fails it alone, with the server's words", async () => {
    for (const [status, times] of [
      [400, 1],
      [422, 1],
      [500, 99],
    ] as const) {
      answerWith(status, times, { error: { message: "your fault" } })
      const { counts, lines } = await run()
      expect(counts).toMatchObject({ answered: 24, failed: 1 })
      expect(lines[5].response).toMatchObject({ status_code: status, body: { error: { message: "your fault" } } })
    }
  })

  test.each([401, 404, 429])("%i for good stops the job, which can be resumed", async (status) => {
    answerWith(status, 99, {}, 100) // others are answered meanwhile
    const out = join(folder, `stopped ${status}.jsonl`)
    const signal = new AbortController().signal
    const attempt = () =>
      withStore(`${out}.job`, { signal, leaseSeconds: 1 }, (store) =>
        runJob(store, createServerExecutor({ url: server.url, retryMs: 1 }), { text, out, settings, signal }),
      )
    await expect(attempt()).rejects.toMatchObject({ code: "E_PEER" })
    server.hook = undefined
    const before = server.requests.length
    expect((await attempt()).counts).toMatchObject({ answered: 24, failed: 0 })
    expect(server.requests.length - before).toBeLessThan(24) // what was answered is not asked again
  })

  test("a server that is not there", async () => {
    await expect(run({ url: "http://127.0.0.1:1" })).rejects.toMatchObject({ code: "E_PEER" })
  })

  test("streaming is refused before anything is asked", async () => {
    const body = { prompt: "x", stream: true }
    const { lines } = await run(
      {},
      {},
      JSON.stringify({ custom_id: "a", method: "POST", url: "/v1/completions", body }),
    )
    expect(lines[0].response).toMatchObject({ status_code: 400, body: { error: { param: "stream" } } })
    expect(server.requests).toEqual([])
  })
})
