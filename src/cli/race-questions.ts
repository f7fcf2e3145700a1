/** Races over a file of questions: every lane runs to its end once, and all rules are judged on the same traces. */
import { asForerunError, ForerunError } from "../base/errors.ts"
import { type RaceSummary, summariseRaces } from "../bench/race-summary.ts"
import { type AnswerKind, findAnswer } from "../decoding/answer.ts"
import type { Model } from "../generate/model.ts"
import type { RaceOutcome } from "../methods/first-finish/outcome.ts"
import type { Problem } from "../methods/first-finish/replay.ts"
import type { Trace } from "../methods/first-finish/vote.ts"
import { createItemProgress } from "./item-progress.ts"
import { type Output, usageError } from "./output.ts"
import { isBadQuestion, type Question, readQuestions } from "./questions-file.ts"
import type { RaceFlags, RaceSettings } from "./race-options.ts"
import { readText } from "./read-text.ts"
import { openResumed, type ResumedFile, withFields } from "./resumed-file.ts"
import { table } from "./terminal.ts"
import { withModel } from "./with-model.ts"

interface RaceLine {
  readonly id: string | number
  readonly answer: string
  readonly traces: readonly (Trace & { readonly text: string })[]
}

const isRaceLine = withFields<RaceLine>({ id: "id", answer: "text", traces: "list" })

export async function raceQuestions(flags: RaceFlags, { run, options }: RaceSettings, output: Output): Promise<number> {
  if (options.strategy !== "first") throw usageError("over questions every rule is judged at once: leave strategy out")
  if (flags.seed === undefined) throw usageError("over questions give a --seed, so that the races can be gone on with")
  const items = readQuestions(await readText(flags.in!), /\.csv$/i.test(flags.in!)).slice(0, flags.limit)
  if (items.length === 0) throw usageError(`${flags.in} holds no questions`)
  return withModel(flags, output, async (model, signal) => {
    const full = { ...run, options: { ...options, first: options.lanes, requireAnswer: false }, signal }
    const { path, weights } = model.info
    const { signal: _, ...made } = { ...full, model: path, weights }
    const file = flags.out === undefined ? undefined : openResumed(flags.out, made)
    const progress = createItemProgress(items.length, "questions")
    const lines: RaceLine[] = []
    let failed = 0
    try {
      for (const [i, item] of items.entries()) {
        progress.update(i)
        try {
          if (isBadQuestion(item)) throw item.error
          const line = await raceQuestion(model, item, full, file)
          lines.push(line)
          if (output.json) output.object(line)
        } catch (thrown) {
          const error = asForerunError(thrown)
          if (error.code === "E_ABORTED") break
          failed++
          output.failure({ id: item.id ?? item.line, line: item.line, error })
        }
      }
      if (!signal.aborted) progress.update(items.length)
    } finally {
      progress.stop()
      file?.close()
    }
    if (lines.length > 0) tell(summariseRaces(lines.map(problemOf)), failed, output)
    return failed > 0 ? 1 : 0
  })
}

type FullRun = RaceSettings["run"] & { readonly signal: AbortSignal }

async function raceQuestion(
  model: Model,
  item: Question,
  run: FullRun,
  file: ResumedFile | undefined,
): Promise<RaceLine> {
  const { id, line, question, answer, candidates } = item
  if (answer === undefined) throw new ForerunError("E_INPUT", `line ${line}: a race needs the answer to compare with`)
  const key = `${line}:${id}`
  const before = file?.read(key, isRaceLine)
  if (before) return before
  const choices = candidates?.map((text, i) => `${letters[i]}. ${text}`).join("\n")
  const prompt = choices === undefined ? question : `${question}\n${choices}\nAnswer with the letter.`
  const tokens = await model.encodePrompt(prompt)
  const seed = (run.seed + 1_000_003 * line) % 2 ** 32 // lanes of different questions are strangers
  const raced = await lastOf(model.run<RaceOutcome>("first-finish", { tokens }, { ...run, seed }))
  if (raced.status === "abort") throw new ForerunError("E_ABORTED", "the race was aborted")
  const kind = (run.options as { answer: AnswerKind }).answer
  const traces = raced.lanes.map(({ tokens: length, text, end }) => {
    const found = findAnswer(text, kind)
    return { length, finished: end === "finished", text, ...(found === undefined ? {} : { answer: found }) }
  })
  const gold = candidates === undefined ? answer : letters[candidates.indexOf(answer)]!
  const result: RaceLine = { id, answer: gold, traces }
  file?.append(key, result)
  return result
}

const letters = "ABCDEFGHIJ"

const problemOf = ({ answer, traces }: RaceLine): Problem => ({ gold: answer, traces })

async function lastOf<Outcome>(run: AsyncGenerator<unknown, Outcome>): Promise<Outcome> {
  for (;;) {
    const next = await run.next()
    if (next.done) return next.value
  }
}

function tell(summary: RaceSummary, failed: number, output: Output): void {
  if (output.json) {
    output.object({ ...summary, failed })
    return
  }
  const percent = (value: number) => (100 * value).toFixed(1)
  const rows = summary.rows.map(({ rule, lanes, accuracy, sequentialTokens, totalTokens }) => [
    `${lanes}`,
    rule,
    `${percent(accuracy.mean)} % (${percent(accuracy.low)} to ${percent(accuracy.high)})`,
    sequentialTokens.mean.toFixed(0),
    totalTokens.mean.toFixed(0),
  ])
  const heads = ["lanes", "rule", "accuracy (95 %)", "tokens in sequence", "tokens in all"]
  const any = `any lane right: ${percent(summary.anyCorrect)} %`
  output.text(`${table(heads, rows)}\n\n${summary.problems} questions, ${failed} failed · ${any}\n`)
}
