/** One client of the load test: asks, reads the stream, may leave at a random moment, and tells how it went. */
import { createParser } from "eventsource-parser"

export interface Ask {
  readonly url: string
  readonly body: object
  /** When it leaves: after so many milliseconds, or so many chunks of text; undefined: it stays. */
  readonly leave?: { readonly afterMs: number } | { readonly afterChunks: number }
}

export type Outcome =
  | { readonly end: "finished"; readonly text: string; readonly first: number; readonly gaps: readonly number[] }
  | { readonly end: "left"; readonly first?: number; readonly gaps: readonly number[] }
  /** With a code that says that the engine was lost. */
  | { readonly end: "lost" }
  | { readonly end: "broken"; readonly why: string }

export async function ask({ url, body, leave }: Ask): Promise<Outcome> {
  const stop = new AbortController()
  const timer = leave && "afterMs" in leave ? setTimeout(() => stop.abort(), leave.afterMs) : undefined
  const begin = performance.now()
  let last = begin
  let first: number | undefined
  const gaps: number[] = []
  // Node's fetch may wait for ever for a body whose last part was read when its signal came.
  const leaving = new Promise<never>((_, reject) => {
    stop.signal.addEventListener("abort", () => reject(stop.signal.reason))
  })
  leaving.catch(() => {})
  let text = ""
  let reason: string | null = null
  let failure: { code?: string | null } | undefined
  const parser = createParser({
    onEvent({ data }) {
      if (data === "[DONE]") return
      const { choices, error } = JSON.parse(data)
      if (error) failure = error
      const [choice] = choices ?? []
      reason = choice?.finish_reason ?? reason
      if (!choice?.delta.content) return
      const now = performance.now()
      if (first === undefined) first = now - begin
      else gaps.push(now - last)
      last = now
      text += choice.delta.content
      if (leave && "afterChunks" in leave && gaps.length + 1 >= leave.afterChunks) stop.abort()
    },
  })
  try {
    const response = await fetch(`${url}/v1/chat/completions`, {
      ...{ method: "POST", body: JSON.stringify(body), signal: stop.signal },
      headers: { "content-type": "application/json" },
    })
    if (!response.ok) {
      const { error } = (await response.json()) as { error: { code: string; message: string } }
      return error.code === "E_ENGINE_LOST"
        ? { end: "lost" }
        : { end: "broken", why: `${response.status} ${error.message}` }
    }
    const decoder = new TextDecoder()
    const reading = (async () => {
      for await (const part of response.body!) parser.feed(decoder.decode(part, { stream: true }))
    })()
    reading.catch(() => {}) // when it is left
    await Promise.race([reading, leaving])
    if (failure)
      return failure.code === "E_ENGINE_LOST" ? { end: "lost" } : { end: "broken", why: `event ${failure.code}` }
    if (reason === null || first === undefined) return { end: "broken", why: "the stream ended without an end" }
    return { end: "finished", text, first, gaps }
  } catch (thrown) {
    if (stop.signal.aborted) return { end: "left", gaps, ...(first === undefined ? {} : { first }) }
    return { end: "broken", why: String((thrown as Error).cause ?? thrown) }
  } finally {
    clearTimeout(timer)
  }
}
