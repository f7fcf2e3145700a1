/** Ranks the candidates of many questions one after another; one that fails is reported and the others go on. */
import { asForerunError } from "../base/errors.ts"
import { findAnswer, majority } from "../decoding/answer.ts"
import type { Model } from "../generate/model.ts"
import type { RunOptions } from "../generate/types.ts"
import type { RankInput, RankOutcome } from "../methods/equilibrium-ranking/equilibrium-ranking.ts"
import { bestGroup, rankingNames } from "../methods/equilibrium-ranking/rankings.ts"
import { createRandom } from "../tensor/random.ts"
import type { Question } from "./questions-file.ts"

export interface RankSettings {
  readonly run: RunOptions
  readonly exemplars: (question: Question) => NonNullable<RankInput["exemplars"]>
  readonly prompts?: RankInput["prompts"]
  /** Where a question brings no candidates: how many to draw, how long, and from which seed. */
  readonly sample: number
  readonly maxTokens: number
  readonly seed: number
  readonly signal: AbortSignal
}

/** The line of one question. */
export interface RankLine extends Omit<RankOutcome, "winner" | "candidates"> {
  readonly id: string | number
  /** What each ranking chose: a candidate, or the answer at the end of sampled ones; greedy and majority beside them. */
  readonly winner: Readonly<Record<string, string | undefined>>
  readonly answer?: string
  readonly candidates: readonly string[]
  /** What each candidate counts as, where they were sampled. */
  readonly groups?: readonly string[]
}

/** @throws ForerunError what scoring and sampling throw */
export async function rankQuestion(model: Model, item: Question, settings: RankSettings): Promise<RankLine> {
  const { id, question, answer } = item
  const drawn = item.candidates === undefined ? await drawCandidates(model, item, settings) : undefined
  const input: RankInput = {
    question,
    candidates: item.candidates ?? drawn!.texts,
    exemplars: settings.exemplars(item),
    ...(settings.prompts === undefined ? {} : { prompts: settings.prompts }),
  }
  const run = model.run<RankOutcome>("equilibrium-ranking", input, { ...settings.run, signal: settings.signal })
  const { winner: _, candidates, ...outcome } = await lastOf(run)
  const groups = drawn === undefined ? candidates : candidates.map((text) => findAnswer(text, "number") ?? "")
  const winner = Object.fromEntries(rankingNames.map((name) => [name, bestGroup(outcome.scores[name], groups)]))
  return {
    id,
    winner: { ...winner, ...drawn?.baselines },
    ...outcome,
    ...(answer === undefined ? {} : { answer }),
    candidates,
    ...(drawn === undefined ? {} : { groups }),
  }
}

/** Candidates as the paper draws them, nucleus 0.9 of the 50 likeliest; and the two answers that need no ranking. */
async function drawCandidates(model: Model, { line, question }: Question, settings: RankSettings) {
  const { sample, maxTokens, signal } = settings
  const seeds = createRandom(settings.seed).fork(line)
  const texts: string[] = []
  for (let i = 0; i < sample && !signal.aborted; i++) {
    const seed = Math.floor(seeds.next() * 2 ** 32)
    const sampling = { temperature: 1, topP: 0.9, topK: 50, seed }
    const { text } = await model.generate(question, { ...sampling, maxTokens, signal })
    if (text.trim() !== "") texts.push(text.trim())
  }
  const greedy = await model.generate(question, { maxTokens, signal })
  const answers = texts.map((text) => findAnswer(text, "number"))
  return { texts, baselines: { greedy: findAnswer(greedy.text, "number"), majority: majority(answers) } }
}

async function lastOf<Outcome>(run: AsyncGenerator<unknown, Outcome>): Promise<Outcome> {
  for (;;) {
    const next = await run.next()
    if (next.done) return next.value
  }
}

/** Whether a failure is the user's wish to stop, which is nobody's failure. */
export const isAbort = (thrown: unknown): boolean => asForerunError(thrown).code === "E_ABORTED"
