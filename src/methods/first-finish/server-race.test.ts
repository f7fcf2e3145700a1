/** Races on a server that is not there: who wins, that losers' connections are closed, and what goes wrong. */
import { afterEach, describe, expect, test } from "vitest"
import { type FakeAnswer, type FakeChatServer, startFakeChatServer } from "./fake-chat-server.ts"
import type { RaceOutcome } from "./outcome.ts"
import { raceOnServer } from "./server-race.ts"

let server: FakeChatServer | undefined
afterEach(() => server?.close())

const words = (count: number, last: string) => [...Array.from({ length: count - 1 }, (_, i) => `w${i} `), last]

interface Options {
  readonly first?: number
  readonly signal?: AbortSignal
  readonly finishText?: string
}

async function raced(answers: readonly FakeAnswer[], { first = 1, signal, finishText }: Options = {}) {
  server = await startFakeChatServer(Object.fromEntries(answers.map((answer, i) => [100 + i, answer])))
  const request = {
    url: `${server.url}/v1/`,
    model: "m",
    messages: [{ role: "user", content: "hello" }],
    maxTokens: 50,
    temperature: 0.6,
    topP: 0.95,
    seed: 100,
    ...(finishText === undefined ? {} : { finishText }),
  }
  const race = { request, lanes: answers.length, first, answer: "number" as const }
  const run = raceOnServer(race, signal ?? new AbortController().signal)
  const texts = answers.map(() => "")
  for (;;) {
    const next = await run.next()
    if (next.done) return { texts, outcome: next.value as RaceOutcome }
    if (next.value.type === "text-appended") texts[next.value.branch] += next.value.text
  }
}

const until = async (holds: () => boolean) => {
  for (let i = 0; i < 200 && !holds(); i++) await new Promise((resolve) => setTimeout(resolve, 5))
  expect(holds()).toBe(true)
}

describe("a race", () => {
  test("the first to end wins; the others' connections are closed and cost what they sent", async () => {
    const slow = { words: words(400, "8"), pace: 5 }
    const { texts, outcome } = await raced([slow, { words: words(5, "is 7"), pace: 2 }, slow])
    expect(outcome).toMatchObject({ status: "finished", winners: [1], finishedLengths: [5], answer: "7" })
    expect(outcome.text).toBe("w0 w1 w2 w3 is 7")
    expect(outcome.lanes.map(({ end }) => end)).toEqual(["cancelled", "finished", "cancelled"])
    expect(outcome.totalTokens).toBe(outcome.lanes.reduce((sum, { tokens }) => sum + tokens, 0))
    expect(outcome.cancelledTokens).toBe(outcome.totalTokens - 5)
    for (const [i, text] of texts.entries()) expect(text).toBe(outcome.lanes[i]!.text)
    await until(() => server!.served.filter(({ closedEarly }) => closedEarly).length === 2)
    expect(Math.max(...server!.served.map(({ sent }) => sent))).toBeLessThan(100)
  })

  test("what is asked of the server: its sampling, and a seed for each lane", async () => {
    await raced([{ words: ["1"] }, { words: ["2"] }], { first: 2 })
    const [request] = server!.requests
    expect(request).toMatchObject({
      path: "/v1/chat/completions",
      model: "m",
      max_tokens: 50,
      stream: true,
      top_p: 0.95,
    })
    expect(server!.requests.map(({ seed }) => seed).sort()).toEqual([100, 101])
  })

  test("majority of three, and one that hits the limit is not heard", async () => {
    const cut: FakeAnswer = { words: ["9"], reason: "length" }
    const { outcome } = await raced(
      [{ words: words(3, "4") }, cut, { words: words(2, "5") }, { words: words(4, "4") }],
      { first: 3 },
    )
    expect(outcome.answer).toBe("4")
    expect([...outcome.winners].sort()).toEqual([0, 2, 3])
    expect(outcome.lanes[1]!.end).toBe("unfinished")
    expect(outcome.sequentialTokens).toBe(4)
    expect(outcome.prefillTokens).toBeGreaterThanOrEqual(0)
  })

  test("nobody finishes: no answer, the longest text", async () => {
    const { outcome } = await raced([
      { words: ["1"], reason: "length" },
      { words: words(3, "2"), reason: "length" },
    ])
    expect(outcome).toMatchObject({ status: "no-finish", winners: [], text: "w0 w1 2" })
    expect(outcome.answer).toBeUndefined()
  })

  test("a text can be the finish, however it is cut into chunks", async () => {
    const { outcome } = await raced([{ words: ["thinking </", "think", "> 12", " more"], pace: 20 }], {
      finishText: "</think>",
    })
    expect(outcome).toMatchObject({ status: "finished", finishedLengths: [3] })
  })

  test("abort closes every connection", async () => {
    const controller = new AbortController()
    setTimeout(() => controller.abort(), 60)
    const endless = { words: words(5000, "1"), pace: 5 }
    const { outcome } = await raced([endless, endless], { signal: controller.signal })
    expect(outcome.status).toBe("abort")
    await until(() => server!.served.every(({ closedEarly }) => closedEarly))
  })
})

describe("what goes wrong is E_PEER, and the other lanes are closed", () => {
  test.each<[string, FakeAnswer, string]>([
    ["an error status", { words: [], status: 503 }, "503"],
    ["something else than a completion", { words: [], raw: "data: {nonsense\n\n" }, "no completion"],
    ["an error in the stream", { words: [], raw: 'data: {"error":{"message":"overloaded"}}\n\n' }, "overloaded"],
    ["content that is no text", { words: [], raw: 'data: {"choices":[{"delta":{"content":7}}]}\n\n' }, "no text"],
  ])("%s", async (_, answer, message) => {
    const endless = { words: words(5000, "1"), pace: 5 }
    await expect(raced([endless, answer])).rejects.toMatchObject({
      code: "E_PEER",
      message: expect.stringContaining(message),
    })
    await until(() => server!.served.some(({ closedEarly }) => closedEarly))
  })

  test("no server", async () => {
    const request = {
      url: "http://127.0.0.1:9",
      model: "m",
      messages: [],
      maxTokens: 5,
      temperature: 1,
      topP: 1,
      seed: 1,
    }
    const run = raceOnServer({ request, lanes: 2, first: 1, answer: "text" }, new AbortController().signal)
    await expect(run.next()).rejects.toMatchObject({ code: "E_PEER" })
  })

  test("a stream that ends without a reason has not finished", async () => {
    const { outcome } = await raced([{ words: [], raw: 'data: {"choices":[{"delta":{"content":"5"}}]}\n\n' }])
    expect(outcome.status).toBe("no-finish")
  })
})
