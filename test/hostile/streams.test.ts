/** Server-sent events, written and read: any text comes through as it is, however the bytes are cut. */
import { createParser } from "eventsource-parser"
import fc from "fast-check"
import { expect, test } from "vitest"
import { partsOf, type StreamPart } from "../../src/ai-sdk/stream.ts"
import { eventStream } from "../../src/server/event-stream.ts"

const settings = { seed: Number(process.env.FUZZ_SEED ?? 8), numRuns: Number(process.env.FUZZ_RUNS ?? 200) }
const encoder = new TextEncoder()

/** What could end a line, an event or a field, and what is no character at all. */
const text = fc.string({
  unit: fc.constantFrom(
    "a",
    "\n",
    "\r",
    "\r\n",
    "\n\n",
    "data: ",
    "event: x",
    ": ",
    "[DONE]",
    "\u2028",
    "\u0085",
    "\ufeff",
    "é",
    "😀",
    "\ud83d",
    "\u0000",
  ),
  maxLength: 12,
})

async function* each<T>(values: readonly T[]): AsyncGenerator<T> {
  yield* values
}
const written = (values: readonly unknown[]) =>
  eventStream(each(values), { pingMs: 1000, onEnd: () => {}, failure: (thrown) => ({ error: String(thrown) }) })

test("what is written is read again, event by event", async () => {
  const values = fc.array(
    fc.oneof(
      fc.record({ text }),
      fc.jsonValue({ maxDepth: 2 }).map((value) => ({ value })),
    ),
    { maxLength: 6 },
  )
  await fc.assert(
    fc.asyncProperty(values, async (sent) => {
      const found: unknown[] = []
      const parser = createParser({ onEvent: ({ data }) => found.push(JSON.parse(data)) })
      parser.feed(await new Response(written(sent)).text())
      expect(found).toEqual(JSON.parse(JSON.stringify(sent)))
    }),
    settings,
  )
})

interface Piece {
  readonly kind: "text" | "call"
  readonly text: string
}
const piece: fc.Arbitrary<Piece> = fc.record({
  kind: fc.constantFrom("text", "call"),
  text: text.map((one) => Buffer.from(one).toString()),
})

/** Chunks as the server sends them: runs of text and calls, one after the other. */
function chunksOf(pieces: readonly Piece[]): object[] {
  let calls = -1
  return pieces.flatMap(({ kind, text: more }, i) => {
    const chunk = (delta: object) => ({
      id: "x",
      created: 1,
      model: "m",
      choices: [{ index: 0, delta, finish_reason: null }],
    })
    if (kind === "text") return [chunk({ content: more })]
    const isNew = pieces[i - 1]?.kind !== "call"
    if (isNew) calls++
    const open = { index: calls, id: `call_${calls}`, type: "function", function: { name: "f", arguments: "" } }
    const delta = chunk({ tool_calls: [{ index: calls, function: { arguments: more } }] })
    return isNew ? [chunk({ tool_calls: [open] }), delta] : [delta]
  })
}

function recut(bytes: Uint8Array, sizes: readonly number[]): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      for (let at = 0, i = 0; at < bytes.length; i++) {
        const size = sizes[i % sizes.length]!
        controller.enqueue(bytes.slice(at, at + size))
        at += size
      }
      controller.close()
    },
  })
}

test("the AI SDK's parts hold every text and call, opened and closed in turn, however the bytes are cut", async () => {
  const sizes = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 5 })
  await fc.assert(
    fc.asyncProperty(fc.array(piece, { maxLength: 8 }), sizes, async (pieces, cuts) => {
      const sent = await new Response(written([...chunksOf(pieces), "[DONE]"])).text()
      const parts: StreamPart[] = []
      for await (const part of partsOf(recut(encoder.encode(sent), cuts), { warnings: [], includeRaw: false }))
        parts.push(part)
      const joined = (kind: Piece["kind"]) =>
        pieces
          .filter((one) => one.kind === kind)
          .map((one) => one.text)
          .join("")
      expect(parts.flatMap((part) => (part.type === "text-delta" ? [part.delta] : [])).join("")).toBe(joined("text"))
      expect(parts.flatMap((part) => (part.type === "tool-call" ? [part.input] : [])).join("")).toBe(joined("call"))
      let open: string | undefined
      for (const part of parts) {
        if (part.type === "text-start" || part.type === "tool-input-start") {
          expect(open).toBeUndefined()
          open = part.id
        } else if (part.type === "text-delta" || part.type === "tool-input-delta") expect(part.id).toBe(open)
        else if (part.type === "text-end" || part.type === "tool-input-end") {
          expect(part.id).toBe(open)
          open = undefined
        }
      }
      expect([open, parts[0]!.type, parts.at(-1)!.type]).toEqual([undefined, "stream-start", "finish"])
    }),
    settings,
  )
})
