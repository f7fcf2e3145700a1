/** A chat's deltas as the items and events of the responses API. Pure but for the ids. */
import { randomUUID } from "node:crypto"
import type { Delta } from "../tools/tool-reader.ts"

interface TextItem {
  readonly type: "message"
  readonly id: string
  text: string
}
interface CallItem {
  readonly type: "function_call"
  readonly id: string
  readonly callId: string
  readonly name: string
  text: string
}
type Item = TextItem | CallItem
type Status = "in_progress" | "completed" | "incomplete"

const newId = (prefix: string): string => `${prefix}_${randomUUID().replaceAll("-", "")}`

function shown(item: Item, status: Status): object {
  if (item.type === "message")
    return {
      type: "message",
      id: item.id,
      status,
      role: "assistant",
      content: status === "in_progress" ? [] : [partOf(item)],
    }
  const { id, callId, name, text } = item
  return { type: "function_call", id, call_id: callId, name, arguments: status === "in_progress" ? "" : text, status }
}
const partOf = ({ text }: TextItem) => ({ type: "output_text", text, annotations: [], logprobs: [] })

export interface OutputWriter {
  /** The events that this piece of the answer gives. */
  push(delta: Delta): object[]
  /** The events that end the last item. */
  end(status: Status): object[]
  /** All items. */
  output(status: Status): object[]
}

export function createOutput(): OutputWriter {
  const items: Item[] = []

  function open(item: Item): object[] {
    items.push(item)
    const at = { output_index: items.length - 1 }
    const added = { type: "response.output_item.added", ...at, item: shown(item, "in_progress") }
    if (item.type !== "message") return [added]
    const part = { type: "output_text", text: "", annotations: [], logprobs: [] }
    return [added, { type: "response.content_part.added", ...at, item_id: item.id, content_index: 0, part }]
  }
  function close(status: Status): object[] {
    const item = items.at(-1)
    if (!item) return []
    const at = { item_id: item.id, output_index: items.length - 1 }
    const done = { type: "response.output_item.done", output_index: at.output_index, item: shown(item, status) }
    if (item.type === "function_call")
      return [{ type: "response.function_call_arguments.done", ...at, name: item.name, arguments: item.text }, done]
    const content = { ...at, content_index: 0 }
    return [
      { type: "response.output_text.done", ...content, text: item.text, logprobs: [] },
      { type: "response.content_part.done", ...content, part: partOf(item) },
      done,
    ]
  }

  return {
    push(delta) {
      if ("content" in delta) {
        const isNew = items.at(-1)?.type !== "message"
        const events = isNew ? [...close("completed"), ...open({ type: "message", id: newId("msg"), text: "" })] : []
        const item = items.at(-1)!
        item.text += delta.content
        const at = { item_id: item.id, output_index: items.length - 1, content_index: 0 }
        return [...events, { type: "response.output_text.delta", ...at, delta: delta.content, logprobs: [] }]
      }
      const [{ id, function: part }] = delta.tool_calls
      if (id !== undefined)
        return [
          ...close("completed"),
          ...open({ type: "function_call", id: newId("fc"), callId: id, name: part.name!, text: "" }),
        ]
      const item = items.at(-1)!
      item.text += part.arguments
      const at = { item_id: item.id, output_index: items.length - 1 }
      return [{ type: "response.function_call_arguments.delta", ...at, delta: part.arguments }]
    },
    end: close,
    output: (status) => items.map((item, i) => shown(item, i === items.length - 1 ? status : "completed")),
  }
}
