/** The engine in a process of its own: killed, it costs the requests under way and nothing else. */
import OpenAI from "openai"
import { afterAll, beforeAll, expect, test } from "vitest"
import { startCli } from "../support/cli-process.ts"
import { loadTiny, makeServedFolder, type Served, serve } from "../support/served.ts"

let model: Awaited<ReturnType<typeof loadTiny>>
let served: Served
beforeAll(async () => {
  model = await loadTiny({ ownProcess: true })
  served = await serve(model)
})
afterAll(async () => {
  await served?.close()
  await model?.remove()
})

const request = { model: "tiny", prompt: "abc", max_tokens: 60, seed: 3 }
// The tokens that would end it cannot come.
const long = { ...request, max_tokens: 900, logit_bias: { "264": -100 } }
const status = async (path: string) => (await fetch(served.url + path)).status
const isAlive = (pid: number) => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

test("killed three times, the listener stays, who was answered is told, and later answers are the same", async () => {
  const before = await served.client.completions.create(request)
  for (let round = 1; round <= 3; round++) {
    const { pid } = model.engine()
    const cache = await model.openCache()
    const stream = await served.client.completions.create({ ...long, stream: true })
    const whole = served.client.completions.create(long)
    whole.catch(() => {})
    const read = async () => {
      let chunks = 0
      for await (const _ of stream) if (++chunks === 3) process.kill(pid!, "SIGKILL")
    }
    await expect(read()).rejects.toMatchObject({ code: "E_ENGINE_LOST", type: "unavailable_error" })
    await expect(whole).rejects.toMatchObject({ status: 503, code: "E_ENGINE_LOST" })
    expect(model.engine()).toMatchObject({ isReady: false })
    expect(await Promise.all([status("/health"), status("/ready")])).toEqual([200, 503])
    const after = await served.client.completions.create(request) // waits until the engine is back
    expect(after.choices).toEqual(before.choices)
    expect(model.engine()).toMatchObject({ isReady: true, restarts: round })
    expect(model.engine().pid).not.toBe(pid)
    expect(await status("/ready")).toBe(200)
    expect(served.app.admission.running).toBe(0)
    // What was kept in the engine that is gone is not found in the next.
    await expect(cache.fork()).rejects.toMatchObject({ code: "E_DISPOSED" })
  }
  const metrics = await (await fetch(`${served.url}/metrics`)).text()
  expect(metrics).toMatch(/^forerun_engine_up 1$/m)
  expect(metrics).toMatch(/^forerun_engine_restarts 3$/m)
})

test("answers are those of an engine in a thread, events too", async () => {
  const thread = await loadTiny()
  try {
    const events = async (from: typeof model) => {
      const run = from.stream("abc", { raw: true, maxTokens: 20, seed: 2, temperature: 1, logprobs: 2 })
      const all: unknown[] = []
      for await (const event of run) all.push(event)
      return all
    }
    expect(await events(model)).toEqual(await events(thread))
    expect(await model.score([5, 6, 7], { top: 3 })).toEqual(await thread.score([5, 6, 7], { top: 3 }))
    await expect(model.generate("abc", { method: "none" })).rejects.toMatchObject({ code: "E_METHOD_NOT_FOUND" })
  } finally {
    await thread.remove()
  }
})

test("a model that cannot be loaded is told to the caller, and nothing is started again", async () => {
  await expect(loadTiny({ ownProcess: true, part: "/nowhere", draft: "/nowhere" })).rejects.toMatchObject({
    code: "E_MODEL_NOT_FOUND",
  })
})

async function startServer(...flags: string[]) {
  const tiny = makeServedFolder()
  let out = ""
  const server = startCli(["serve", "-m", tiny.path, "--port", "0", "--json", "--threads", "1", ...flags], (text) => {
    out = text
  })
  await expect.poll(() => out, { timeout: 60_000 }).toMatch(/\{"url":"[^"]+"\}\n/)
  const { url } = JSON.parse(/\{"url":"[^"]+"\}/.exec(out)![0])
  const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: "-", maxRetries: 0 })
  const { engine } = (await (await fetch(`${url}/ready`)).json()) as { engine: { pid: number } }
  const stream = await client.completions.create({ ...long, model: "tiny", stream: true })
  return {
    ...{ server, client, stream, pid: engine.pid },
    end() {
      server.child.kill("SIGKILL")
      tiny.remove()
    },
  }
}

test("SIGTERM: who comes is refused, who runs past the limit is cut off, and the engine goes too", async () => {
  const { server, client, stream, pid, end } = await startServer("--drain", "1")
  try {
    let refused: unknown
    let chunks = 0
    const read = async () => {
      for await (const _ of stream)
        if (++chunks === 2) {
          server.child.kill("SIGTERM")
          await new Promise((resolve) => setTimeout(resolve, 100))
          refused = await client.completions.create({ ...request, model: "tiny" }).catch((thrown: unknown) => thrown)
        }
    }
    await read().catch(() => {})
    expect(refused).toMatchObject({ status: 503 })
    expect((await server.ended).code).toBe(0)
    await expect.poll(() => isAlive(pid), { timeout: 5000 }).toBe(false)
  } finally {
    end()
  }
})

test("a second SIGTERM ends it at once, and a killed server takes its engine along", async () => {
  for (const signals of [["SIGTERM", "SIGTERM"], ["SIGKILL"]] as const) {
    const { server, stream, pid, end } = await startServer("--drain", "600")
    try {
      const reading = (async () => {
        for await (const _ of stream);
      })().catch(() => "cut off")
      for (const signal of signals) {
        server.child.kill(signal)
        await new Promise((resolve) => setTimeout(resolve, 300))
      }
      expect((await server.ended).signal).toBe(signals[0])
      expect(await reading).toBe("cut off")
      await expect.poll(() => isAlive(pid), { timeout: 5000 }).toBe(false)
    } finally {
      end()
    }
  }
})
