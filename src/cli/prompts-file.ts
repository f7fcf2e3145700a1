/** Reads a file of prompts: a JSON object a line, in one of three shapes. Pure: text in, items and errors out. */
import { ForerunError } from "../base/errors.ts"
import type { ChatMessage } from "../text/chat-template.ts"

export interface PromptItem {
  /** The line's id or question_id; its line number where it has none. */
  readonly id: string | number
  readonly line: number
  readonly category?: string
  readonly prompt: { readonly text: string } | { readonly messages: ChatMessage[] } | { readonly turns: string[] }
}

export interface BadLine {
  readonly id?: string | number
  readonly line: number
  readonly error: ForerunError
}

export type PromptLine = PromptItem | BadLine

export const isBad = (line: PromptLine): line is BadLine => "error" in line

/**
 * A line is `{"id", "prompt"}`, `{"id", "messages"}` or Spec-Bench's `{"question_id", "category", "turns"}`; empty lines
 * are passed over. With `limit`, only the first so many of each category are kept (lines without one are a category too);
 * bad lines are kept always.
 */
export function readPrompts(text: string, limit = Number.POSITIVE_INFINITY): PromptLine[] {
  const lines: PromptLine[] = []
  const counts = new Map<string | undefined, number>()
  for (const [index, source] of text
    .replace(/^\uFEFF/, "")
    .split("\n")
    .entries()) {
    if (source.trim() === "") continue
    const read = readLine(source, index + 1)
    if (!isBad(read)) {
      const count = (counts.get(read.category) ?? 0) + 1
      counts.set(read.category, count)
      if (count > limit) continue
    }
    lines.push(read)
  }
  return lines
}

function readLine(source: string, line: number): PromptLine {
  let id: string | number | undefined
  const bad = (message: string, cause?: unknown): BadLine => ({
    ...(id === undefined ? {} : { id }),
    line,
    error: new ForerunError("E_INPUT", `line ${line}: ${message}`, cause === undefined ? {} : { cause }),
  })
  let value: unknown
  try {
    value = JSON.parse(source)
  } catch (thrown) {
    return bad("not JSON", thrown)
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) return bad("not a JSON object")
  const object = value as Record<string, unknown>
  const given = object.id ?? object.question_id
  if (typeof given === "string" || typeof given === "number") id = given
  else if (given !== undefined) return bad("the id must be a text or a number")
  const { category } = object
  const common = { id: id ?? line, line, ...(typeof category === "string" ? { category } : {}) }
  if (typeof object.prompt === "string") return { ...common, prompt: { text: object.prompt } }
  if (isMessages(object.messages)) return { ...common, prompt: { messages: object.messages } }
  if (isTurns(object.turns)) return { ...common, prompt: { turns: object.turns } }
  const found = ["prompt", "messages", "turns"].find((name) => name in object)
  if (found === undefined) return bad('neither "prompt" nor "messages" nor "turns"')
  const needed = {
    prompt: "a text",
    messages: "a list of {role, content}, not empty",
    turns: "a list of texts, not empty",
  }[found as "prompt" | "messages" | "turns"]
  return bad(`"${found}" must be ${needed}`)
}

const isTurns = (value: unknown): value is string[] =>
  Array.isArray(value) && value.length > 0 && value.every((turn) => typeof turn === "string")

const isMessages = (value: unknown): value is ChatMessage[] =>
  Array.isArray(value) &&
  value.length > 0 &&
  value.every(
    (one: unknown) => typeof one === "object" && one !== null && "role" in one && typeof one.role === "string",
  )
