/** What happens while decoding, as the chunks of a streamed completion. */
import type { StreamEvent } from "../../decoding/step.ts"
import type { GenerateResult, TokenReport } from "../../generate/types.ts"
import type { RequestUrl } from "../../jobs/request.ts"
import { chatTokens, completionTokens } from "../../jobs/result.ts"
import type { Spelling } from "../spelling.ts"
import type { Delta, TextReader } from "../tools/tool-reader.ts"

/** A chunk without what all chunks of an answer have alike. JSON's null stands where the format has it. */
export interface Chunk {
  readonly choices: readonly object[]
}

export interface ChunkOptions {
  readonly n: number
  /** Index of the prompt's first answer among all choices. */
  readonly first: number
  readonly logprobs: boolean
  readonly spelling: Spelling
  /** Takes a chat's text apart: one for each answer. */
  readonly reader: () => TextReader
  /** Adds what all chunks of the answer have alike. */
  readonly dress: (chunk: Chunk) => object
}

type Piece = { readonly text: string; readonly tokens: readonly TokenReport[] }

interface Shape {
  readonly object: string
  /** Before anything else. */
  open?(): object
  /** @param delta the piece's text, taken apart */
  text(piece: Piece & { readonly delta: Delta }, logprobs: boolean, offset: number): object
  /** What an answer says last; tokens without text, such as the one that ended it, come with it. */
  close(piece: Piece, logprobs: boolean, offset: number): object
}

const noChat = (wanted: boolean, tokens: readonly TokenReport[]) =>
  wanted && tokens.length > 0 ? chatTokens(tokens) : null
const noPlain = (wanted: boolean, tokens: readonly TokenReport[], offset: number) =>
  wanted && tokens.length > 0 ? completionTokens(tokens, offset) : null

export const shapes: Readonly<Record<RequestUrl, Shape>> = {
  "/v1/chat/completions": {
    object: "chat.completion.chunk",
    open: () => ({ delta: { role: "assistant", content: "", refusal: null }, logprobs: null }),
    text: ({ delta, tokens }, wanted) => ({ delta, logprobs: noChat(wanted, tokens) }),
    close: ({ tokens }, wanted) => ({ delta: {}, logprobs: noChat(wanted, tokens) }),
  },
  "/v1/completions": {
    object: "text_completion",
    text: ({ text, tokens }, wanted, offset) => ({ text, logprobs: noPlain(wanted, tokens, offset) }),
    close: ({ tokens }, wanted, offset) => ({ text: "", logprobs: noPlain(wanted, tokens, offset) }),
  },
}

/** One answer's tokens that wait for their text, and where in the text they are. */
function createChoice(reader: TextReader) {
  let tokens: TokenReport[] = []
  let offset = 0
  return {
    reader,
    hold: (report: TokenReport) => void tokens.push(report),
    take() {
      const taken = { tokens, offset }
      offset += tokens.reduce((length, { text }) => length + text.length, 0)
      tokens = []
      return taken
    },
  }
}

/** Answers to one prompt; those that are certain first. Returns the result. */
export async function* chunksOf(
  events: AsyncGenerator<StreamEvent, GenerateResult>,
  url: RequestUrl,
  { n, first, logprobs, spelling, reader, dress }: ChunkOptions,
): AsyncGenerator<object, GenerateResult> {
  const shape = shapes[url]
  const choices = Array.from({ length: n }, () => createChoice(reader()))
  const chunk = (index: number, content: object, reason: string | null = null) =>
    dress({ choices: [{ index: first + index, ...content, finish_reason: reason }] })
  function pieces(index: number, deltas: readonly Delta[]): object[] {
    return deltas.map((delta) => {
      const { tokens, offset } = choices[index]!.take()
      const text = "content" in delta ? delta.content : ""
      return chunk(index, shape.text({ text, delta, tokens }, logprobs, offset))
    })
  }
  function close(index: number, reason: string): object[] {
    const { reader, take } = choices[index]!
    const rest = pieces(index, reader.end())
    const { tokens, offset } = take()
    return [...rest, chunk(index, shape.close({ text: "", tokens }, logprobs, offset), reader.reason(reason))]
  }
  try {
    if (shape.open) for (let index = 0; index < n; index++) yield chunk(index, shape.open())
    for (;;) {
      const next = await events.next()
      if (next.done) {
        if (n === 1) yield* close(0, next.value.finishReason)
        return next.value
      }
      const event = next.value
      if (!("branch" in event)) continue
      const index = event.branch % n
      if (event.type === "tokens-committed" && logprobs)
        for (const token of event.tokens) choices[index]!.hold(spelling.report(token))
      else if (event.type === "text-appended") yield* pieces(index, choices[index]!.reader.push(event.text))
      else if (event.type === "branch-ended" && n > 1) yield* close(index, event.reason ?? "stop")
    }
  } finally {
    await events.return(undefined as never)
  }
}
