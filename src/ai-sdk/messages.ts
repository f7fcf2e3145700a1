/** The AI SDK's prompt as OpenAI's messages. Pure. */
import {
  type LanguageModelV3Prompt,
  type LanguageModelV4Prompt,
  type SharedV3Warning,
  UnsupportedFunctionalityError,
} from "@ai-sdk/provider"

export type Prompt = LanguageModelV3Prompt | LanguageModelV4Prompt
type Message = Prompt[number]
type Part = Exclude<Message["content"], string>[number]
type ToolResult = Extract<Part, { type: "tool-result" }>

/** @throws UnsupportedFunctionalityError for files: the models served here read text */
export function toMessages(prompt: Prompt, warnings: SharedV3Warning[]): object[] {
  return (prompt as readonly Message[]).flatMap((message): object[] => {
    if (message.role === "system") return [{ role: "system", content: message.content }]
    const parts = message.content as readonly Part[]
    if (message.role === "tool")
      return parts.flatMap((part) => (part.type === "tool-result" ? [toolMessage(part)] : noted(part, warnings)))
    const content = textOf(parts, warnings)
    const calls = parts.filter((part) => part.type === "tool-call")
    if (calls.length === 0) return [{ role: message.role, content }]
    const tool_calls = calls.map(({ toolCallId, toolName, input }) => ({
      ...{ id: toolCallId, type: "function" },
      function: { name: toolName, arguments: JSON.stringify(input ?? {}) },
    }))
    return [{ role: message.role, content: content || null, tool_calls }]
  })
}

function textOf(parts: readonly Part[], warnings: SharedV3Warning[]): string {
  let text = ""
  for (const part of parts) {
    if (part.type === "text") text += part.text
    else if (part.type === "file")
      throw new UnsupportedFunctionalityError({ functionality: `files (${part.mediaType})` })
    else if (part.type !== "tool-call") noted(part, warnings)
  }
  return text
}

/** A part that no template here has a place for is left out, and said to be. */
function noted({ type }: Part, warnings: SharedV3Warning[]): [] {
  warnings.push({ type: "unsupported", feature: `${type} in a message`, details: "left out of the prompt" })
  return []
}

const toolMessage = ({ toolCallId, output }: ToolResult): object => ({
  ...{ role: "tool", tool_call_id: toolCallId },
  content: toolText(output),
})

function toolText(output: ToolResult["output"]): string {
  if (output.type === "text" || output.type === "error-text") return output.value
  if (output.type === "execution-denied") return output.reason ?? "The call was not allowed."
  if (output.type !== "content") return JSON.stringify(output.value)
  return output.value
    .map((part) => {
      if (part.type === "text") return part.text
      throw new UnsupportedFunctionalityError({ functionality: `${part.type} in the result of a tool` })
    })
    .join("")
}
