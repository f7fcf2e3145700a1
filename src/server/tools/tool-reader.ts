/** An answer's text, as it comes, taken apart into text and calls of tools. Pure but for the calls' ids. */
import { randomUUID } from "node:crypto"
import { callBegin, callEnd } from "./tool-request.ts"

export interface CallDelta {
  readonly index: number
  readonly id?: string
  readonly type?: "function"
  readonly function: { readonly name?: string; readonly arguments: string }
}
/** A piece of the message, as OpenAI's streams have it. */
export type Delta = { readonly content: string } | { readonly tool_calls: readonly [CallDelta] }

export interface TextReader {
  /** What is certain with this text. */
  push(text: string): Delta[]
  /** What was held back. */
  end(): Delta[]
  /** Why the answer ended, in OpenAI's words. */
  reason(finish: string): string
}

export const plainReader: TextReader = {
  push: (text) => (text === "" ? [] : [{ content: text }]),
  end: () => [],
  reason: (finish) => finish,
}

const head = /^\s*\{"name": "((?:[^"\\]|\\.)*)", "arguments": /

export function createToolReader(newId = () => `call_${randomUUID().replaceAll("-", "").slice(0, 24)}`): TextReader {
  let state: "text" | "head" | "arguments" = "text"
  let held = ""
  let calls = 0

  /** One move; undefined when more text is needed. */
  function move(): Delta[] | undefined {
    if (state === "text") return readText()
    if (state === "head") return readHead()
    return readArguments()
  }
  function readText(): Delta[] | undefined {
    const at = held.indexOf(callBegin)
    if (at >= 0) {
      // White space between calls says nothing.
      const before = held.slice(0, at).trimEnd()
      held = held.slice(at + callBegin.length)
      state = "head"
      return before.trim() === "" ? [] : [{ content: before }]
    }
    const certain = held.slice(0, held.length - undecided(held, callBegin)).trimEnd()
    if (certain === "") return undefined
    held = held.slice(certain.length)
    return [{ content: certain }]
  }
  function readHead(): Delta[] | undefined {
    const found = head.exec(held)
    if (!found) return undefined
    held = held.slice(found[0].length)
    state = "arguments"
    const name = JSON.parse(`"${found[1]}"`) as string
    return [call({ id: newId(), type: "function", function: { name, arguments: "" } })]
  }
  function readArguments(): Delta[] | undefined {
    const at = held.indexOf(callEnd)
    const length = at < 0 ? held.length - undecided(held, callEnd) : at
    const certain = held.slice(0, length)
    if (at < 0) {
      if (certain === "") return undefined
      held = held.slice(length)
      return [call({ function: { arguments: certain } })]
    }
    held = held.slice(at + callEnd.length)
    state = "text"
    const last = certain === "" ? [] : [call({ function: { arguments: certain } })]
    calls++
    return last
  }
  const call = (delta: Omit<CallDelta, "index">): Delta => ({ tool_calls: [{ index: calls, ...delta }] })

  return {
    push(text) {
      held += text
      const deltas: Delta[] = []
      for (;;) {
        const moved = move()
        if (moved === undefined) return deltas
        deltas.push(...moved)
      }
    },
    end() {
      const rest = held
      held = ""
      if (rest === "" || state === "head") return []
      if (state === "arguments") return [call({ function: { arguments: rest } })]
      return rest.trim() === "" && calls > 0 ? [] : [{ content: rest }]
    },
    reason: (finish) => (finish === "stop" && calls > 0 ? "tool_calls" : finish),
  }
}

/** Length of the longest end of `text` that may become `mark`. */
function undecided(text: string, mark: string): number {
  for (let length = Math.min(mark.length - 1, text.length); length > 0; length--)
    if (text.endsWith(mark.slice(0, length))) return length
  return 0
}

export interface ReadMessage {
  readonly content: string | null
  readonly tool_calls?: readonly object[]
}

/** A whole answer's message. JSON's null stands where the format has it. */
export function readMessage(text: string, reader: TextReader): ReadMessage {
  const calls: { id: string; type: "function"; function: { name: string; arguments: string } }[] = []
  let content = ""
  for (const delta of [...reader.push(text), ...reader.end()]) {
    if ("content" in delta) content += delta.content
    else {
      const [
        {
          index,
          id,
          function: { name, arguments: more },
        },
      ] = delta.tool_calls
      calls[index] ??= { id: id!, type: "function", function: { name: name!, arguments: "" } }
      calls[index].function.arguments += more
    }
  }
  return calls.length === 0 ? { content } : { content: content || null, tool_calls: calls }
}
