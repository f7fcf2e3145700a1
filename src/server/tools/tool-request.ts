/** Tools of a request: what the model is told of them, and the grammar that its calls keep to. */
import type { Grammar } from "../../generate/grammar/grammar.ts"
import { RequestError } from "../../jobs/request-options.ts"
import type { ChatMessage } from "../../text/chat-template.ts"

export interface Tool {
  readonly type: "function"
  readonly function: {
    readonly name: string
    readonly description?: string | null | undefined
    readonly parameters?: Readonly<Record<string, unknown>> | null | undefined
  }
}
export type ToolChoice = "none" | "auto" | "required" | { readonly function: { readonly name: string } }

export interface ToolRequest {
  readonly tools: readonly Tool[]
  readonly choice: ToolChoice
  /** Several calls in one answer. */
  readonly isParallel: boolean
}

/** A call as the model writes it: begin, name, arguments as JSON, end. */
export const callBegin = "<tool_call>"
export const callEnd = "}\n</tool_call>"
const callHead = (name: string): string => `${callBegin}\n{"name": ${JSON.stringify(name)}, "arguments": `

/** @returns undefined where no tool may be called @throws RequestError */
export function toolRequest(body: Readonly<Record<string, unknown>>): ToolRequest | undefined {
  const tools = (body.tools ?? []) as readonly Tool[]
  const choice = (body.tool_choice ?? (tools.length > 0 ? "auto" : "none")) as ToolChoice
  if (choice === "none") return undefined
  if (tools.length === 0) throw new RequestError("tool_choice", "there are no tools to choose from")
  const names = tools.map(({ function: { name } }) => name)
  if (new Set(names).size < names.length) throw new RequestError("tools", "two tools have the same name")
  if (typeof choice === "object" && !names.includes(choice.function.name))
    throw new RequestError("tool_choice", `there is no tool ${JSON.stringify(choice.function.name)}`)
  if ((body.response_format as { type?: unknown } | null | undefined)?.type !== undefined)
    throw new RequestError("response_format", "a format of the answer cannot be had together with tools")
  return { tools, choice, isParallel: body.parallel_tool_calls !== false && typeof choice === "string" }
}

/** Free text until a call begins, or nothing but calls where one is required. */
export function toolGrammar({ tools, choice, isParallel }: ToolRequest): Grammar {
  const wanted =
    typeof choice === "object" ? tools.filter((tool) => tool.function.name === choice.function.name) : tools
  const tags = wanted.map(({ function: { name, parameters } }) => ({
    type: "tag",
    begin: callHead(name),
    content: { type: "json_schema", json_schema: parameters ?? { type: "object" } },
    end: callEnd,
  }))
  const stops = { stop_after_first: !isParallel }
  if (choice === "auto") return { tags: { type: "triggered_tags", triggers: [callBegin], tags, ...stops } }
  return { tags: { type: "tags_with_separator", tags, separator: "\n", at_least_one: true, ...stops } }
}

export interface ToolPrompt {
  readonly messages: readonly ChatMessage[]
  /** For a template that describes tools by itself. */
  readonly tools?: readonly Tool[]
}

/** A template that writes calls as we read them is left to do it; for others, tools and calls become plain text. */
export function toolPrompt(
  messages: readonly ChatMessage[],
  tools: readonly Tool[],
  template: string | undefined,
): ToolPrompt {
  if (template?.includes(callBegin)) {
    const read = messages.map((message) => ({ ...message, ...withReadCalls(message) }))
    return tools.length > 0 ? { messages: read, tools } : { messages: read }
  }
  const plain = messages.map(asText)
  if (tools.length === 0) return { messages: plain }
  const [first, ...rest] = plain
  const told = describe(tools)
  if (first?.role !== "system") return { messages: [{ role: "system", content: told }, ...plain] }
  return { messages: [{ ...first, content: `${textOf(first)}\n\n${told}` }, ...rest] }
}

const describe = (tools: readonly Tool[]): string => `You may call functions. These are their signatures:
<tools>
${tools.map((tool) => JSON.stringify(tool)).join("\n")}
</tools>
To call one, write its name and its arguments as JSON:
${callBegin}
{"name": <name>, "arguments": <arguments>}
</tool_call>`

interface Call {
  readonly function: { readonly name: string; readonly arguments: unknown }
}

/** Only an assistant calls: with others the field is anything. */
const callsOf = ({ role, tool_calls: calls }: ChatMessage): readonly Call[] =>
  role === "assistant" && Array.isArray(calls) ? calls : []

/** Templates print arguments as objects; clients send them as text. */
const withReadCalls = (message: ChatMessage) =>
  callsOf(message).length === 0
    ? {}
    : {
        tool_calls: callsOf(message).map((call) => ({
          ...call,
          function: { ...call.function, arguments: readArguments(call) },
        })),
      }

function readArguments({ function: { arguments: given } }: Call): unknown {
  if (typeof given !== "string") return given
  try {
    return JSON.parse(given)
  } catch {
    throw new RequestError("messages", "the arguments of a tool call are not JSON")
  }
}

function asText(message: ChatMessage): ChatMessage {
  if (message.role === "tool") return { role: "user", content: `<tool_response>\n${textOf(message)}\n</tool_response>` }
  const calls = callsOf(message)
  if (calls.length === 0) return message
  const written = calls.map((call) => `${callHead(call.function.name)}${JSON.stringify(readArguments(call))}${callEnd}`)
  return { role: message.role, content: [textOf(message), ...written].filter(Boolean).join("\n") }
}

function textOf({ content }: ChatMessage): string {
  if (typeof content === "string") return content
  return Array.isArray(content) ? content.map(({ text }: { text?: string }) => text ?? "").join("") : ""
}
