/** A request of the responses API as a chat: the same prompt, tools and formats under other names. */
import { RequestError } from "../../jobs/request-options.ts"

type Body = Readonly<Record<string, unknown>>

/** @throws RequestError */
export function chatOf(body: Body): Body {
  const { instructions, input, max_output_tokens: length, text, tools, tool_choice: choice, ...rest } = body
  const { previous_response_id: _, store: __, include: ___, truncation: ____, ...others } = rest
  const system = typeof instructions === "string" ? [{ role: "system", content: instructions }] : []
  const items = typeof input === "string" ? [{ role: "user", content: input }] : (input as readonly Body[])
  return {
    ...others,
    messages: [...system, ...messagesOf(items)],
    max_completion_tokens: length,
    ...formatOf((text as { format?: Body } | null | undefined)?.format),
    ...(tools ? { tools: (tools as readonly Body[]).map(nested) } : {}),
    tool_choice: typeof choice === "object" && choice !== null ? nested(choice as Body) : choice,
  }
}

const nested = ({ type, ...tool }: Body) => ({ type, function: tool })

/** Its schema lies one level higher than a chat's. */
function formatOf(format: Body | null | undefined): object {
  if (!format) return {}
  const { type, ...rest } = format
  return { response_format: type === "json_schema" ? { type, json_schema: rest } : format }
}

/** Calls that follow one another are one message's. */
function messagesOf(items: readonly Body[]): Body[] {
  const messages: Body[] = []
  for (const [i, item] of items.entries()) {
    const { type = "message", call_id: id } = item
    if (type === "message") messages.push({ role: item.role, content: contentOf(item.content) })
    else if (type === "function_call") {
      const call = { id, type: "function", function: { name: item.name, arguments: item.arguments } }
      const last = messages.at(-1)
      if (last?.role === "assistant") {
        const before = (last.tool_calls ?? []) as readonly object[]
        messages[messages.length - 1] = { ...last, tool_calls: [...before, call] }
      } else messages.push({ role: "assistant", content: null, tool_calls: [call] })
    } else if (type === "function_call_output") messages.push({ role: "tool", tool_call_id: id, content: item.output })
    else throw new RequestError("input", `input[${i}]: items of type ${JSON.stringify(type)} are not supported`)
  }
  return messages
}

/** Texts in and texts out are both texts to a chat. */
function contentOf(content: unknown): unknown {
  if (!Array.isArray(content)) return content
  return content.map((part: Body | null) =>
    part?.type === "input_text" || part?.type === "output_text" ? { type: "text", text: part.text } : part,
  )
}
