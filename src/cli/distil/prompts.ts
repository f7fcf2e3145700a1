/** Prompts for self-distillation, of files in any of the shapes we know: each once, in an order that mixes the files. */
import { createHash } from "node:crypto"
import { basename, dirname } from "node:path"
import { ForerunError } from "../../base/errors.ts"
import { isBad, readPrompts } from "../prompts-file.ts"
import { isBadQuestion, readQuestions } from "../questions-file.ts"
import { framePrompts } from "./frames.ts"
import type { WordRuns } from "./word-runs.ts"

export interface DistilPrompt {
  /** Of its text. */
  readonly id: string
  readonly source: string
  readonly text: string
}

export interface PromptFile {
  readonly path: string
  readonly text: string
  /** At most so many of it; default all. */
  readonly limit?: number
}

export interface PromptSet {
  /** By id, which is a hash: any run of them is a fair sample of all. */
  readonly prompts: readonly DistilPrompt[]
  /** Left out because a file before had the same. */
  readonly repeated: number
  /** Left out because of what they share with texts that must not be trained on. */
  readonly excluded: number
}

/** @throws E_INPUT naming a file that holds no prompt */
export function collectPrompts(files: readonly PromptFile[], exclude: WordRuns): PromptSet {
  const known = new Set<string>()
  const prompts: DistilPrompt[] = []
  let [repeated, excluded] = [0, 0]
  for (const { path, text, limit = Number.POSITIVE_INFINITY } of files) {
    const source = sourceOf(path)
    const found = promptsOf(path, text).map((prompt) => ({ id: idOf(prompt), source, text: prompt }))
    if (found.length === 0) throw new ForerunError("E_INPUT", `${path} holds no prompts`)
    let taken = 0
    for (const prompt of found.sort(byId)) {
      if (taken >= limit) break
      if (known.has(prompt.id)) repeated++
      else if (exclude.has(prompt.text)) excluded++
      else {
        prompts.push(prompt)
        taken++
      }
      known.add(prompt.id)
    }
  }
  return { prompts: prompts.sort(byId), repeated, excluded }
}

const byId = (a: { readonly id: string }, b: { readonly id: string }) => (a.id < b.id ? -1 : 1)

/** The same for texts that differ in spaces and capitals only. */
export const idOf = (text: string): string =>
  createHash("sha256").update(text.toLowerCase().replace(/\s+/g, " ").trim()).digest("hex").slice(0, 16)

/** "gsm8k" for gsm8k/train.jsonl. */
function sourceOf(path: string): string {
  const file = basename(path).replace(/\.\w+$/, "")
  return /^(test|train|valid|dev|input|sample|questions?|data|prompts?)$/i.test(file)
    ? basename(dirname(path)) || file
    : file
}

function promptsOf(path: string, text: string): string[] {
  if (/\.csv$/i.test(path)) return questionsOf(text, true)
  if (!/\.jsonl?$/i.test(path)) return framePrompts(text)
  const lines = text.split("\n").filter((line) => line.trim() !== "")
  return lines.flatMap((line) => oneOf(line))
}

/** A line of JSON: a prompt, a question with or without choices, a task with an input. */
function oneOf(line: string): string[] {
  const value = parsed(line)
  if (value === undefined) return []
  if (typeof value.text === "string") return [`${value.text}${testOf(value)}`]
  if (typeof value.input === "string" && value.instruction === undefined) return [value.input]
  if (value.choices !== undefined || typeof value.question === "object") return questionsOf(line, false)
  const [prompt] = readPrompts(line)
  if (prompt === undefined || isBad(prompt)) return []
  if ("text" in prompt.prompt) return [prompt.prompt.text]
  if ("turns" in prompt.prompt) return [prompt.prompt.turns[0]!]
  const { content } = prompt.prompt.messages[0]!
  return typeof content === "string" ? [content] : []
}

function parsed(line: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(line)
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}

/** A programming task names the function it wants by a test, as MBPP does. */
function testOf({ test_list: tests }: Record<string, unknown>): string {
  return Array.isArray(tests) && typeof tests[0] === "string" ? `\nYour code should pass this test:\n${tests[0]}` : ""
}

/** Half of the questions are asked openly, half with their choices. */
function questionsOf(text: string, isCsv: boolean): string[] {
  return readQuestions(text, isCsv).flatMap((one) => {
    if (isBadQuestion(one)) return []
    const { question, candidates = [] } = one
    const isOpen = candidates.length < 2 || Number.parseInt(idOf(question).slice(0, 2), 16) % 2 === 0
    if (isOpen) return [question]
    const choices = candidates.slice(0, 5).map((choice, i) => `${"ABCDE"[i]}. ${choice}`)
    return [`${question}\n${choices.join("\n")}\nWhich is right, and why?`]
  })
}
