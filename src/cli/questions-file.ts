/** Reads questions to be ranked: our own lines, and the files of known benchmarks as they come. Pure. */
import { ForerunError } from "../base/errors.ts"
import { findAnswer } from "../decoding/answer.ts"
import { readCsv } from "./read-csv.ts"

export interface Question {
  /** As the line gives it; its line number where it gives none. */
  readonly id: string | number
  readonly line: number
  readonly question: string
  /** Absent: to be sampled. */
  readonly candidates?: readonly string[]
  /** One of the candidates, or what a sampled text's answer is compared with. */
  readonly answer?: string
  readonly category?: string
}

export interface BadQuestion {
  readonly id?: string | number
  readonly line: number
  readonly error: ForerunError
}

export const isBadQuestion = (one: Question | BadQuestion): one is BadQuestion => "error" in one

/** @param isCsv else JSON lines. @throws E_INPUT for a CSV that cannot be taken apart; a bad line is returned as such */
export function readQuestions(text: string, isCsv: boolean): (Question | BadQuestion)[] {
  if (isCsv) return readCsv(text).map(({ line, fields }) => readItem(line, () => fromCsv(fields)))
  const lines = text.replace(/^\uFEFF/, "").split("\n")
  return lines.flatMap((source, i) => (source.trim() === "" ? [] : [readItem(i + 1, () => fromJson(source))]))
}

type Fields = Omit<Question, "id" | "line"> & { readonly id?: string | number }

function readItem(line: number, read: () => Fields): Question | BadQuestion {
  let fields: Fields | undefined
  try {
    fields = read()
    check(fields)
    return { ...fields, id: fields.id ?? line, line }
  } catch (thrown) {
    const reason = thrown instanceof Error ? thrown.message : String(thrown)
    const error = new ForerunError("E_INPUT", `line ${line}: ${reason}`, { cause: thrown })
    return { ...(fields?.id === undefined ? {} : { id: fields.id }), line, error }
  }
}

/** Ours, ARC's, OpenBookQA's or GSM8K's, told apart by their fields. */
function fromJson(source: string): Fields {
  const value = JSON.parse(source) as Record<string, unknown>
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new Error("not a JSON object")
  const { question: asked, answerKey, candidates, answer } = value
  const head = {
    ...(typeof value.id === "string" || typeof value.id === "number" ? { id: value.id } : {}),
    ...(typeof value.category === "string" ? { category: value.category } : {}),
  }
  if (typeof asked === "object" && asked !== null) {
    const { stem, choices } = asked as { stem: string; choices: { text: string; label: string }[] }
    const labels = choices.map(({ label }) => label)
    return {
      ...head,
      question: stem,
      ...labelled(
        choices.map((choice) => choice.text),
        labels,
        answerKey,
      ),
    }
  }
  const question = asked as string
  if (value.choices !== undefined) {
    const { text, label } = value.choices as { text: string[]; label: string[] }
    return { ...head, question, ...labelled(text, label, answerKey) }
  }
  if (candidates === undefined) {
    const known = typeof answer === "string" ? (findAnswer(answer, "number") ?? answer) : answer
    return { ...head, question, ...(known === undefined ? {} : { answer: String(known) }) }
  }
  const list = candidates as string[]
  const right = typeof answer === "number" ? list[answer] : (answer as string | undefined)
  if (answer !== undefined && right === undefined) throw new Error(`there is no candidate ${JSON.stringify(answer)}`)
  return { ...head, question, candidates: list, ...(right === undefined ? {} : { answer: right }) }
}

function labelled(texts: string[], labels: string[], key: unknown): Pick<Question, "candidates" | "answer"> {
  if (key === undefined) return { candidates: texts }
  const answer = texts[labels.indexOf(key as string)]
  if (answer === undefined) throw new Error(`no choice has the label ${JSON.stringify(key)}`)
  return { candidates: texts, answer }
}

/** MMLU's (question, choice0…, answer as an index, subject) or TruthfulQA's (best answer against the incorrect ones). */
function fromCsv(fields: Readonly<Record<string, string>>): Fields {
  if (fields.Question !== undefined) {
    const best = fields["Best Answer"] ?? ""
    const wrong = (fields["Incorrect Answers"] ?? "").split(";").map((text) => text.trim())
    const candidates = [best, ...wrong.filter((text) => text !== "")]
    return { question: fields.Question, candidates, answer: best, ...category(fields.Category) }
  }
  if (fields.question === undefined) throw new Error("a CSV of questions has a column question or Question")
  const candidates = Object.keys(fields)
    .filter((name) => /^choice\d+$/.test(name))
    .map((name) => fields[name]!)
  const answer = candidates[Number(fields.answer)]
  if (answer === undefined)
    throw new Error(`answer needs the number of a choice, found ${JSON.stringify(fields.answer)}`)
  return { question: fields.question, candidates, answer, ...category(fields.subject) }
}

const category = (name: string | undefined) => (name === undefined ? {} : { category: name })

function check({ question, candidates, answer }: Fields): void {
  const isText = (value: unknown) => typeof value === "string" && value.trim() !== ""
  if (!isText(question)) throw new Error('"question" must be a text')
  if (candidates !== undefined && !(Array.isArray(candidates) && candidates.length > 0 && candidates.every(isText)))
    throw new Error('"candidates" must be a list of texts, none empty')
  if (answer !== undefined && typeof answer !== "string") throw new Error('"answer" must be a text or a number')
  if (answer !== undefined && candidates !== undefined && !candidates.includes(answer))
    throw new Error(`the answer ${JSON.stringify(answer)} is none of the candidates`)
}
