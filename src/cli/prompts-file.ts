/** Reads a file of prompts: a JSON object a line, in one of a few shapes. Pure: text in, items and errors out. */
import { basename, dirname } from "node:path"
import { ForerunError } from "../base/errors.ts"
import type { ChatMessage } from "../text/chat-template.ts"

export interface PromptItem {
  /** The line's id or question_id; its line number where it has none. */
  readonly id: string | number
  readonly line: number
  readonly category?: string
  /** The answer that is expected (of turns, to the first), for methods that draft from one. */
  readonly prediction?: string
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
 * A line is `{"id", "prompt"}` (HumanEval's, with a task_id, too), `{"id", "messages"}`, Spec-Bench's `{"question_id",
 * "category", "turns"}`, GSM8K's `{"question"}` or Alpaca's `{"instruction", "instances"}`; empty lines are passed over. With `limit`, only the first so many of each category are kept (lines without one are a category too);
 * bad lines are kept always.
 */
export function readPrompts(text: string, limit = Number.POSITIVE_INFINITY): PromptLine[] {
  const lines: PromptLine[] = []
  for (const [index, source] of text
    .replace(/^\uFEFF/, "")
    .split("\n")
    .entries())
    if (source.trim() !== "") lines.push(readLine(source, index + 1))
  return firstOfEach(lines, limit)
}

/** The first `limit` lines of each category, and every bad line. */
function firstOfEach(lines: readonly PromptLine[], limit: number): PromptLine[] {
  const counts = new Map<string | undefined, number>()
  return lines.filter((line) => {
    if (isBad(line)) return true
    const count = (counts.get(line.category) ?? 0) + 1
    counts.set(line.category, count)
    return count <= limit
  })
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
  const given = object.id ?? object.question_id ?? object.task_id
  if (typeof given === "string" || typeof given === "number") id = given
  else if (given !== undefined) return bad("the id must be a text or a number")
  const { category, prediction } = object
  if (prediction !== undefined && typeof prediction !== "string") return bad("the prediction must be a text")
  const common = {
    id: id ?? line,
    line,
    ...(typeof category === "string" ? { category } : {}),
    ...(prediction === undefined ? {} : { prediction }),
  }
  if (typeof object.prompt === "string") return { ...common, prompt: { text: object.prompt } }
  if (isMessages(object.messages)) return { ...common, prompt: { messages: object.messages } }
  if (isTurns(object.turns)) return { ...common, prompt: { turns: object.turns } }
  if (typeof object.question === "string") return { ...common, prompt: { text: object.question } }
  if (typeof object.instruction === "string") return { ...common, prompt: { text: instructionOf(object) } }
  const found = ["prompt", "messages", "turns"].find((name) => name in object)
  if (found === undefined) return bad('neither "prompt" nor "messages" nor "turns"')
  const needed = {
    prompt: "a text",
    messages: "a list of {role, content}, not empty",
    turns: "a list of texts, not empty",
  }[found as "prompt" | "messages" | "turns"]
  return bad(`"${found}" must be ${needed}`)
}

/** The instruction, and its input where it has one: Alpaca's own, or a seed task's first instance. */
function instructionOf({ instruction, input, instances }: Record<string, unknown>): string {
  const [first] = Array.isArray(instances) ? (instances as { input?: unknown }[]) : []
  const given = input ?? first?.input
  return typeof given === "string" && given !== "" ? `${instruction}\n\n${given}` : `${instruction}`
}

const isTurns = (value: unknown): value is string[] =>
  Array.isArray(value) && value.length > 0 && value.every((turn) => typeof turn === "string")

const isMessages = (value: unknown): value is ChatMessage[] =>
  Array.isArray(value) &&
  value.length > 0 &&
  value.every(
    (one: unknown) => typeof one === "object" && one !== null && "role" in one && typeof one.role === "string",
  )

/** The categories of MT-Bench, which Spec-Bench counts as one of its six tasks. */
const mtBench = ["writing", "roleplay", "reasoning", "math", "coding", "extraction", "stem", "humanities"]

/**
 * Prompts to measure with, of several files: every line has a category, its own or the file's. In a file that holds all
 * of MT-Bench beside other tasks, that is one task. @throws E_INPUT for a bad line: a measurement over other prompts
 * than were asked for would mislead
 */
export function readTasks(files: readonly { readonly path: string; readonly text: string }[], limit?: number) {
  return files.flatMap(({ path, text }) => {
    const items = readPrompts(text).map((line) => {
      if (isBad(line)) throw line.error
      return line
    })
    const own = new Set(items.map(({ category }) => category))
    const folds = mtBench.every((category) => own.has(category)) && own.size > mtBench.length
    const task = (category: string | undefined) =>
      category === undefined ? nameOf(path) : folds && mtBench.includes(category) ? "mt_bench" : category
    return firstOfEach(
      items.map((item) => ({ ...item, category: task(item.category) })),
      limit ?? Number.POSITIVE_INFINITY,
    ) as (PromptItem & { readonly category: string })[]
  })
}

/** "gsm8k" for gsm8k/test.jsonl: the folder's name where the file's says nothing. */
function nameOf(path: string): string {
  const file = basename(path).replace(/\.jsonl?$/i, "")
  return /^(test|train|valid|dev|questions?|data|prompts?)$/i.test(file)
    ? basename(dirname(path)) || file
    : file.toLowerCase()
}
