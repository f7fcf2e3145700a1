/** Clients that leave: at any phase, streamed or not, the engine stops within a pass and everything is given back. */
import { connect } from "node:net"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { loadTiny, type Served, serve } from "../support/served.ts"

let model: Awaited<ReturnType<typeof loadTiny>>
let served: Served
beforeAll(async () => {
  model = await loadTiny()
  served = await serve(model, { limits: { parallel: 2, waiting: 8 } })
})
afterAll(async () => {
  await served?.close()
  await model?.remove()
})

// A long answer: the tokens that would end it cannot come.
const long = { model: "tiny", prompt: "abc", max_tokens: 900, logit_bias: { "264": -100 }, seed: 1 }
const idle = () =>
  expect.poll(() => [served.app.admission.running, served.app.admission.waiting], { timeout: 10_000 }).toEqual([0, 0])
/** Passes go on only while somebody is answered, but for the one that is under way. */
async function isQuiet() {
  await idle()
  const { passes } = await model.ledger()
  await new Promise((resolve) => setTimeout(resolve, 200))
  expect((await model.ledger()).passes - passes).toBeLessThanOrEqual(1)
}

describe("the engine stops (vLLM #54947, mlx-openai-server#269)", () => {
  test("when a reader breaks off a stream", async () => {
    const stream = await served.client.completions.create({ ...long, stream: true })
    let chunks = 0
    for await (const _ of stream) if (++chunks === 3) break
    await isQuiet()
  })

  test("when a caller of a whole answer gives up", async () => {
    const controller = new AbortController()
    const asked = served.client.completions.create(long, { signal: controller.signal })
    await expect.poll(() => served.app.admission.running).toBe(1)
    controller.abort()
    await expect(asked).rejects.toThrow("aborted")
    await isQuiet()
  })

  test("when those who wait leave, and those who run", async () => {
    const controllers = Array.from({ length: 6 }, () => new AbortController())
    const asked = controllers.map(({ signal }) => served.client.completions.create(long, { signal }).catch(() => {}))
    await expect.poll(() => [served.app.admission.running, served.app.admission.waiting]).toEqual([2, 4])
    for (const controller of controllers) controller.abort()
    await Promise.all(asked)
    await isQuiet()
  })

  test("when a socket is torn down in the middle, over and over, at any phase", async () => {
    const body = JSON.stringify({ ...long, stream: true })
    const { port } = new URL(served.url)
    for (let i = 0; i < 40; i++) {
      const socket = connect(Number(port), "127.0.0.1")
      const sent = `POST /v1/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`
      socket.on("error", () => {})
      // Some leave before the body is there, some before anything is answered, some while it is.
      socket.write(i % 3 === 0 ? sent.slice(0, -5) : sent)
      await new Promise((resolve) => setTimeout(resolve, (i * 7) % 40))
      socket.destroy()
    }
    await isQuiet()
    const { choices } = await served.client.completions.create({ ...long, max_tokens: 3 })
    expect(choices).toHaveLength(1)
  })
})

test("an answer is the one it is alone, whoever comes and goes beside it", async () => {
  const request = { ...long, max_tokens: 40, seed: 9 }
  const alone = await served.client.completions.create(request)
  const controller = new AbortController()
  const beside = served.client.completions.create({ ...long, seed: 5 }, { signal: controller.signal }).catch(() => {})
  const again = await served.client.completions.create(request)
  controller.abort()
  await beside
  expect(again.choices).toEqual(alone.choices)
})

test("a header that is too large ends its connection (CVE-2025-48956)", async () => {
  const { port } = new URL(served.url)
  const answer = await new Promise<string>((resolve) => {
    const socket = connect(Number(port), "127.0.0.1")
    let text = ""
    socket.on("data", (data) => {
      text += data
    })
    socket.on("close", () => resolve(text))
    socket.on("error", () => resolve(text))
    socket.write(`GET /health HTTP/1.1\r\nhost: localhost\r\nx-big: ${"x".repeat(40_000)}\r\n\r\n`)
  })
  expect(answer).toMatch(/^HTTP\/1\.1 431 /)
})
