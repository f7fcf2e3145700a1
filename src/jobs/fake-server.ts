/** For tests: an OpenAI-compatible server on 127.0.0.1 with a small prefix cache, and a hook to misbehave. */
import { once } from "node:events"
import { createServer, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { setTimeout as sleep } from "node:timers/promises"

export interface FakeRequest {
  readonly path: string
  readonly auth: string | undefined
  readonly body: Record<string, unknown>
}

export interface FakeServer {
  readonly url: string
  readonly requests: FakeRequest[]
  /** Most requests that were there at a time. */
  readonly busiest: () => number
  /** Answers in place of the server when it returns true. */
  hook: ((request: FakeRequest, response: ServerResponse) => boolean) | undefined
  close(): Promise<void>
}

/** One character is one token. @param remembers prompts the cache holds, the last ones that were answered */
export async function startFakeServer({ remembers = 2, delayMs = 2 } = {}): Promise<FakeServer> {
  const cache: string[] = []
  const requests: FakeRequest[] = []
  let [now, most] = [0, 0]
  const http = createServer(async (incoming, response) => {
    let text = ""
    for await (const chunk of incoming) text += chunk
    const body = JSON.parse(text)
    const request = { path: incoming.url!, auth: incoming.headers.authorization, body }
    requests.push(request)
    if (server.hook?.(request, response)) return
    most = Math.max(most, ++now)
    const prompt = String(body.prompt ?? JSON.stringify(body.messages))
    const cached = Math.max(0, ...cache.map((one) => shared(one, prompt)))
    await sleep(delayMs)
    now--
    cache.push(prompt)
    if (cache.length > remembers) cache.shift()
    const answer = `<${prompt.slice(-6)}>`
    const usage = {
      ...{ prompt_tokens: prompt.length, completion_tokens: 8, total_tokens: prompt.length + 8 },
      prompt_tokens_details: { cached_tokens: cached },
    }
    response.setHeader("content-type", "application/json")
    response.end(JSON.stringify({ object: "text_completion", choices: [{ index: 0, text: answer }], usage }))
  })
  http.listen(0, "127.0.0.1")
  await once(http, "listening")
  const server: FakeServer = {
    url: `http://127.0.0.1:${(http.address() as AddressInfo).port}`,
    requests,
    busiest: () => most,
    hook: undefined,
    async close() {
      http.closeAllConnections()
      http.close()
      await once(http, "close")
    },
  }
  return server
}

function shared(a: string, b: string): number {
  let length = 0
  while (length < a.length && length < b.length && a[length] === b[length]) length++
  return length
}
