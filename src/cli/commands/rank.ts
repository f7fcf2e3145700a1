/** forerun rank: the best of given (or sampled) answers to each question, by the consensus game and its baselines. */
import { createHash } from "node:crypto"
import { asForerunError } from "../../base/errors.ts"
import { type RankedQuestion, type RankSummary, summariseRanks } from "../../bench/rank-summary.ts"
import type { Share } from "../../bench/statistics.ts"
import { resolveOptions } from "../../decoding/options.ts"
import type { Model } from "../../generate/model.ts"
import { equilibriumRanking, gameOptions } from "../../methods/equilibrium-ranking/equilibrium-ranking.ts"
import { readPrompts } from "../../methods/equilibrium-ranking/prompts.ts"
import type { EngineFlags } from "../flags.ts"
import { createItemProgress } from "../item-progress.ts"
import { type Output, usageError } from "../output.ts"
import { type BadQuestion, isBadQuestion, type Question, readQuestions } from "../questions-file.ts"
import { isAbort, type RankLine, type RankSettings, rankQuestion } from "../rank-questions.ts"
import { readText } from "../read-text.ts"
import { openResumed, withFields } from "../resumed-file.ts"
import { table } from "../terminal.ts"
import { withModel } from "../with-model.ts"

interface Flags extends EngineFlags {
  readonly in?: string
  readonly out?: string
  readonly limit?: number
  readonly option?: Readonly<Record<string, string>>
  readonly promptsFile?: string
  readonly exemplars?: string
  readonly shots?: number
  readonly sample?: number
  readonly maxTokens?: number
  readonly seed?: number
}

export async function rank(_: readonly unknown[], flags: Flags, output: Output) {
  if (flags.in === undefined) throw usageError("give the questions: --in questions.jsonl")
  const options = resolveOptions(equilibriumRanking, flags.option)
  const prompts = readPrompts(flags.promptsFile === undefined ? undefined : await readJson(flags.promptsFile))
  const items = limited(await questionsOf(flags.in), flags.limit)
  if (items.length === 0) throw usageError(`${flags.in} holds no questions`)
  const shots = flags.exemplars === undefined ? [] : goodOnes(await questionsOf(flags.exemplars))
  const { sample = 0, maxTokens = 256, seed = 1 } = flags
  return withModel(flags, output, async (model, signal) => {
    const exemplars = exemplarsFor(shots, flags.shots ?? 5)
    const settings: RankSettings = { run: { options }, exemplars, prompts, sample, maxTokens, seed, signal }
    const { path, weights } = model.info
    const made = {
      model: path,
      weights,
      ...options,
      prompts: hashOf([prompts, shots, flags.shots]),
      sample,
      maxTokens,
      seed,
    }
    const { lines, failed } = await rankAll(model, items, { settings, made, out: flags.out, output })
    const summary = { ...summariseRanks(lines.map(rankedOf), gameOptions(options)), failed, settings: made }
    if (output.json) output.object(summary)
    else output.text(describe(summary))
    return failed > 0 ? 1 : 0
  })
}

const isRankLine = withFields<RankLine>({ id: "id", winner: "record", scores: "record", candidates: "list" })

interface Job {
  readonly settings: RankSettings
  /** What the result file is held to. */
  readonly made: Readonly<Record<string, unknown>>
  readonly out: string | undefined
  readonly output: Output
}

async function rankAll(model: Model, items: readonly (Question | BadQuestion)[], { settings, made, out, output }: Job) {
  const file = out === undefined ? undefined : openResumed(out, made)
  const progress = createItemProgress(items.length, "questions")
  const lines: RankLine[] = []
  let failed = 0
  const fail = (item: Question | BadQuestion, thrown: unknown) => {
    failed++
    output.failure({ id: item.id ?? item.line, line: item.line, error: asForerunError(thrown) })
  }
  try {
    for (const [i, item] of items.entries()) {
      if (settings.signal.aborted) break
      progress.update(i)
      if (isBadQuestion(item)) {
        fail(item, item.error)
        continue
      }
      const key = `${item.line}:${item.id}`
      try {
        if (item.candidates === undefined && settings.sample === 0)
          throw usageError("it brings no candidates", "--sample n draws them from the model")
        const before = file?.read(key, isRankLine)
        const line = before ?? (await rankQuestion(model, item, settings))
        if (!before) file?.append(key, line)
        lines.push(line)
        if (output.json) output.object(line)
      } catch (thrown) {
        if (isAbort(thrown)) break
        fail(item, thrown)
      }
    }
    if (!settings.signal.aborted) progress.update(items.length)
  } finally {
    progress.stop()
    file?.close()
  }
  return { lines, failed }
}

const rankedOf = ({ groups, candidates, ...line }: RankLine): RankedQuestion => ({
  ...line,
  groups: groups ?? candidates,
})

const questionsOf = async (path: string) => readQuestions(await readText(path), /\.csv$/i.test(path))

const goodOnes = (items: readonly (Question | BadQuestion)[]): Question[] =>
  items.map((item) => {
    if (isBadQuestion(item)) throw item.error // examples that were asked for and left out would mislead
    return item
  })

/** The first n of each category; bad lines stay, so that they are told. */
function limited(items: (Question | BadQuestion)[], limit = Number.POSITIVE_INFINITY) {
  const counts = new Map<string | undefined, number>()
  return items.filter((item) => {
    if (isBadQuestion(item)) return true
    const count = (counts.get(item.category) ?? 0) + 1
    counts.set(item.category, count)
    return count <= limit
  })
}

/** The first `count` solved examples of the question's category, or of all where it has none. */
const exemplarsFor =
  (shots: readonly Question[], count: number) =>
  ({ category }: Question) =>
    shots
      .filter((shot) => shot.answer !== undefined && (category === undefined || shot.category === category))
      .slice(0, count)
      .map((shot) => ({ question: shot.question, candidate: shot.answer! }))

async function readJson(path: string): Promise<unknown> {
  try {
    return JSON.parse(await readText(path))
  } catch (thrown) {
    if (thrown instanceof SyntaxError) throw usageError(`${path} is not JSON: ${thrown.message}`)
    throw thrown
  }
}

const hashOf = (value: unknown): string => createHash("sha256").update(JSON.stringify(value)).digest("hex").slice(0, 16)

const percent = ({ value, low, high, total }: Share): string =>
  total === 0 ? "–" : `${(100 * value).toFixed(1)} % (${(100 * low).toFixed(1)} to ${(100 * high).toFixed(1)})`

function describe(summary: RankSummary & { readonly failed: number }): string {
  const { accuracy, whereTheyDiffer, agreement, residual, sweep } = summary
  const rows = Object.keys(accuracy).map((name) => [name, percent(accuracy[name]!), percent(whereTheyDiffer[name]!)])
  const differing = Object.values(whereTheyDiffer)[0]?.total ?? 0
  const swept = sweep.map((row) => [`${row.iterations}`, percent(row["ER-G"]), percent(row["ER-D"])])
  return `${[
    table(["ranking", "accuracy (95 %)", `where G and D differ (${differing})`], rows),
    table(["updates", "ER-G", "ER-D"], swept),
    `generator and discriminator agree: ${percent(agreement.initial)} at first, ${percent(agreement.final)} in the end`,
    `${summary.questions} questions, ${summary.failed} failed · residual ${residual.median.toExponential(1)} (median), ${residual.max.toExponential(1)} (largest)`,
  ].join("\n\n")}\n`
}
