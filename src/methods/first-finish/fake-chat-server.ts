/** An OpenAI-compatible server for tests: streams prescribed answers, and notes which connections were closed early. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"

export interface FakeAnswer {
  /** A chunk each. */
  readonly words: readonly string[]
  readonly reason?: "stop" | "length"
  /** Milliseconds between chunks. */
  readonly pace?: number
  readonly status?: number
  /** Sent as it is, instead of everything else. */
  readonly raw?: string
}

export interface FakeChatServer {
  readonly url: string
  /** Bodies of the requests, in order of arrival. */
  readonly requests: Record<string, unknown>[]
  /** Chunks sent to each request, and whether the client left before the end. */
  readonly served: { sent: number; closedEarly: boolean }[]
  close(): Promise<void>
}

/** @param answers by the request's seed */
export async function startFakeChatServer(answers: Readonly<Record<number, FakeAnswer>>): Promise<FakeChatServer> {
  const requests: Record<string, unknown>[] = []
  const served: { sent: number; closedEarly: boolean }[] = []
  const server = createServer(async (request, response) => {
    const body = JSON.parse(await textOf(request)) as Record<string, unknown>
    requests.push({ ...body, path: request.url })
    const record = { sent: 0, closedEarly: false }
    served.push(record)
    response.on("close", () => {
      record.closedEarly = !response.writableFinished
    })
    await answerWith(answers[body.seed as number]!, response, record)
  })
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    requests,
    served,
    close: () =>
      new Promise((done) => {
        server.closeAllConnections()
        server.close(() => done())
      }),
  }
}

async function answerWith(answer: FakeAnswer, response: ServerResponse, record: { sent: number }): Promise<void> {
  const { words, reason = "stop", pace = 1, status = 200, raw } = answer
  response.writeHead(status, { "content-type": "text/event-stream" })
  if (status !== 200 || raw !== undefined) return void response.end(raw ?? "no such luck")
  const send = (value: unknown) => response.write(`data: ${JSON.stringify(value)}\n\n`)
  for (const content of words) {
    if (response.destroyed) return
    send({ choices: [{ delta: { content }, finish_reason: null }] })
    record.sent++
    await new Promise((resolve) => setTimeout(resolve, pace))
  }
  send({ choices: [{ delta: {}, finish_reason: reason }] })
  send({ choices: [], usage: { prompt_tokens: 9 } })
  response.end("data: [DONE]\n\n")
}

async function textOf(request: IncomingMessage): Promise<string> {
  let text = ""
  for await (const chunk of request) text += chunk
  return text
}
