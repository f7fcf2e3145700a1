/** Answers of a target to prompts, as token ids: what drafts are trained on, so that they learn to say what it says. */
import { createHash } from "node:crypto"
import { readdirSync, readFileSync, statSync } from "node:fs"
import { join } from "node:path"
import { gunzipSync } from "node:zlib"
import { ForerunError } from "../base/errors.ts"
import { isLoop } from "../decoding/loops.ts"
import type { Random } from "../tensor/random.ts"
import type { Data } from "./recipe.ts"

/** A line of the file. */
export interface Answer {
  /** Of the conversation's first prompt; "-2" after it: the answer to what was asked next. */
  readonly id: string
  /** Where the prompt comes from. */
  readonly source: string
  readonly temperature: number
  readonly seed: number
  /** Chat template applied. */
  readonly prompt: readonly number[]
  /** With the stop token, if it came to that. */
  readonly answer: readonly number[]
}

export interface AnswerSplit {
  readonly training: readonly Answer[]
  readonly validation: readonly Answer[]
}

export interface ReadAnswersOptions {
  /** Share of the prompts that is held out, by a hash of their ids; default 0.05. */
  readonly validation?: number
  /** Ids must be below it. */
  readonly vocabulary?: number
  /** Take answers that go round in circles too: they would make most of a draft's lessons easy ones. Default false. */
  readonly loops?: boolean
}

/**
 * All answers of these files, and of the .jsonl and .jsonl.gz files of these folders; a line that is there twice counts once. A
 * conversation is on one side only. @throws E_IO, E_INPUT with file and line; half a last line is passed over
 */
export function readAnswers(paths: readonly string[], options: ReadAnswersOptions = {}): AnswerSplit {
  const { validation = 0.05, vocabulary = Number.POSITIVE_INFINITY, loops = false } = options
  const answers = new Map<string, Answer>()
  for (const path of paths.flatMap(filesIn))
    for (const answer of answersOf(path, vocabulary)) if (!answers.has(answer.id)) answers.set(answer.id, answer)
  const kept = [...answers.values()].filter(({ answer }) => answer.length > 0 && (loops || !isLoop(answer)))
  const sorted = kept.sort((a, b) => (a.id < b.id ? -1 : 1)) // the same order, whichever files
  const isHeldOut = ({ id }: Answer) => shareOf(id.split("-")[0]!) < validation
  return { training: sorted.filter((one) => !isHeldOut(one)), validation: sorted.filter(isHeldOut) }
}

/** A number in [0, 1) that is a name's own. */
export const shareOf = (name: string): number =>
  createHash("sha256").update(`held out? ${name}`).digest().readUInt32LE(0) / 2 ** 32

function filesIn(path: string): string[] {
  try {
    if (!statSync(path).isDirectory()) return [path]
    return readdirSync(path)
      .filter((name) => /\.jsonl(\.gz)?$/.test(name))
      .sort()
      .map((name) => join(path, name))
  } catch (thrown) {
    throw unreadable(path, thrown)
  }
}

function unreadable(path: string, thrown: unknown): ForerunError {
  return new ForerunError("E_IO", `cannot read ${path}: ${(thrown as Error).message}`, { cause: thrown })
}

/** Bytes of a file when unpacked, at most: what a string may hold. */
const longestText = 2 ** 29 - 24

function answersOf(path: string, vocabulary: number): Answer[] {
  let text: string
  try {
    const bytes = readFileSync(path)
    text = (path.endsWith(".gz") ? gunzipSync(bytes, { maxOutputLength: longestText }) : bytes).toString("utf8")
  } catch (thrown) {
    throw unreadable(path, thrown)
  }
  const lines = text.split("\n")
  return lines.flatMap((line, i) => {
    if (line === "") return []
    let value: unknown
    try {
      value = JSON.parse(line)
    } catch (thrown) {
      if (i === lines.length - 1) return [] // a process was killed while it wrote
      throw new ForerunError("E_INPUT", `${path}: line ${i + 1} is not JSON`, { cause: thrown })
    }
    const object = value as Partial<Answer> & { readonly settings?: unknown }
    if (object?.settings !== undefined && object.prompt === undefined) return [] // the head of a file
    return [checked(object, vocabulary, `${path}: line ${i + 1}`)]
  })
}

function checked(given: Partial<Answer> | undefined, vocabulary: number, where: string): Answer {
  const { id, source, temperature = 0, seed = 0, prompt, answer } = given ?? {}
  const areIds = (list: unknown): list is number[] =>
    Array.isArray(list) && list.every((one) => Number.isInteger(one) && one >= 0 && one < vocabulary)
  if (typeof id === "string" && typeof source === "string" && areIds(prompt) && areIds(answer) && prompt.length > 0)
    return { id, source, temperature, seed, prompt, answer }
  throw new ForerunError(
    "E_INPUT",
    `${where} is no answer of this target: {"id","source","prompt":[ids],"answer":[ids]}`,
  )
}

/** The part of prompt and answer that a window of this many tokens shows: the last ones. */
export function windowOf({ prompt, answer }: Pick<Answer, "prompt" | "answer">, length: number) {
  const whole = prompt.length + answer.length
  const start = Math.max(0, whole - length)
  return { start, rows: whole - start, promptRows: Math.max(0, prompt.length - start) }
}

/** The same part as an answer of its own: for a teacher that is to read no more than a window shows. */
export function shown<T extends Pick<Answer, "prompt" | "answer">>(answer: T, length: number): T {
  const { start } = windowOf(answer, length)
  const { prompt } = answer
  return { ...answer, prompt: prompt.slice(start), answer: answer.answer.slice(Math.max(0, start - prompt.length)) }
}

export interface AnswerWindows extends Data {
  readonly length: number
}

/**
 * A sample for each answer: the last `length` tokens of prompt and answer, zeros after shorter ones. Tensors: `tokens`
 * int64 [batch, length]; `weight` float32 [batch, length], 1 where the token belongs to the answer.
 */
export function answerWindows(answers: readonly Answer[], length: number): AnswerWindows {
  return {
    samples: answers.length,
    length,
    batch(indices) {
      const tokens = new BigInt64Array(indices.length * length)
      const weight = new Float32Array(indices.length * length)
      for (const [row, index] of indices.entries()) {
        const { prompt, answer } = answers[index]!
        const { start, rows, promptRows } = windowOf(answers[index]!, length)
        const shown = [...prompt, ...answer].slice(start)
        for (const [i, token] of shown.entries()) tokens[row * length + i] = BigInt(token)
        weight.fill(1, row * length + promptRows, row * length + rows)
      }
      const shape = [indices.length, length]
      return {
        tensors: { tokens: { type: "int64", shape, data: tokens }, weight: { type: "float32", shape, data: weight } },
        tokens: weight.reduce((sum, value) => sum + value, 0),
      }
    },
  }
}

/**
 * Up to `picked` of the rows of such windows that stand before a token of the answer, by chance.
 * @param weight [batch · length]
 */
export function pickRows(
  weight: Float32Array,
  { length, picked }: { readonly length: number; readonly picked: number },
  random: Random,
): number[] {
  const rows = [...weight.keys()].filter((row) => row % length < length - 1 && weight[row + 1] === 1)
  return rows
    .map((row) => ({ row, place: random.next() }))
    .sort((a, b) => a.place - b.place)
    .slice(0, picked)
    .map(({ row }) => row)
}
