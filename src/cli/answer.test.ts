/** How answers are shown: accepted drafts in green on a terminal that wants colour, controls never raw. */
import { afterEach, beforeEach, expect, test, vi } from "vitest"
import type { StreamEvent } from "../decoding/step.ts"
import type { Model } from "../generate/model.ts"
import type { GenerateResult } from "../generate/types.ts"
import { answer, summary } from "./answer.ts"
import { createOutput } from "./output.ts"

const result = {
  text: "",
  tokens: [1, 2, 3, 4, 5],
  promptTokens: 3,
  finishReason: "stop",
  passes: { target: 3, draft: 0 },
  speculation: { rounds: 2, drafted: 6, accepted: 2, meanAcceptedLength: 2, histogram: [1, 0, 1] },
  timings: { tokensPerSecond: 80, firstTokenMs: 12 },
} as unknown as GenerateResult

const event = (text: string, drafted?: true): StreamEvent => ({
  type: "text-appended",
  branch: 0,
  text,
  ...(drafted ? { drafted } : {}),
})
const events = [event("plain "), event("draft\u001b[2J\u009b31m\r\u0007", true), event(" end")]
const model = {
  async *stream() {
    yield* events
    return result
  },
} as unknown as Model

let written = ""
beforeEach(() => {
  written = ""
  vi.spyOn(process.stdout, "write").mockImplementation((text) => {
    written += text
    return true
  })
})
afterEach(() => {
  vi.restoreAllMocks()
  vi.unstubAllEnvs()
})

async function shown(isTerminal: boolean, env: Record<string, string>): Promise<string> {
  for (const [name, value] of Object.entries({ TERM: "xterm", NO_COLOR: "", ...env })) vi.stubEnv(name, value)
  const before = process.stdout.isTTY
  process.stdout.isTTY = isTerminal
  try {
    await answer(model, "x", {}, createOutput({ json: false, debug: false }))
    return written
  } finally {
    process.stdout.isTTY = before
  }
}

const safe = "draft␛[2J�31m␍␇"

test("a terminal shows accepted drafts in green, and the model's own escapes as signs", async () => {
  expect(await shown(true, {})).toBe(`plain \u001b[32m${safe}\u001b[0m end\n`)
})

test("no colour where none is wanted, and still no escapes", async () => {
  expect(await shown(true, { NO_COLOR: "1" })).toBe(`plain ${safe} end\n`)
})

test("a file gets the text as it is, without colour", async () => {
  expect(await shown(false, {})).toBe("plain draft\u001b[2J\u009b31m\r\u0007 end\n")
})

test("the summary says what drafting gained", () => {
  expect(summary(result)).toBe(
    "3 prompt tokens → 5 tokens · 80.0 tokens/s · 3 passes · 2 rounds of 2.00 tokens, 2 of 6 drafted accepted · first token after 12 ms",
  )
})
