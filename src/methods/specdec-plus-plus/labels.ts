/** What the head learns from: drafted tokens among a target's answer, and how likely the target takes each (paper, §3.2). */
import { createLaw, drawFrom, type Law, mostLikely, pointLaw } from "../../decoding/law.ts"
import type { Matrix, ModelRunner } from "../../runtime/pass.ts"
import { concatenate } from "../../tensor/concatenate.ts"
import { expNegative, extremes } from "../../tensor/math.ts"
import type { Random } from "../../tensor/random.ts"

export interface LabelSettings {
  readonly target: ModelRunner
  readonly draft: ModelRunner
  /** likeliest: accepted when the target draws the same; sampled: by the ratio rule. */
  readonly drafts: "likeliest" | "sampled"
  /** At which both will be asked; 0 = the likeliest token. */
  readonly temperature: number
  /** Which row of the draft model judges a token: the one that reads it, or the one that drafted it. */
  readonly row: HeadRow
  /** Share of the answer's own tokens among those that the draft model reads: r. The rest are its drafts. */
  readonly kept: number
}

export const headRows = ["reads", "drafts"] as const
export type HeadRow = (typeof headRows)[number]

export interface Answered {
  readonly prompt: readonly number[]
  readonly answer: readonly number[]
}

/** Labelled rows of one answer or of several. */
export interface Judged {
  /** The draft model's final hidden states, of the rows that judge drafted tokens: [rows, hidden]. */
  readonly states: Float32Array
  /** Probability that the target takes that token: [rows]. */
  readonly acceptance: Float32Array
}

/**
 * One token is drafted at each place of the answer, after the answer's own tokens. The draft model then reads the
 * answer with drafts mixed in, as in decoding, and its row at each drafted token is labelled. No shift: the row that
 * reads a token judges it. Where the row that drafts judges, nothing is mixed: behind a wrong token no chance matters.
 */
export async function judge({ prompt, answer }: Answered, settings: LabelSettings, random: Random): Promise<Judged> {
  const { target, draft, kept } = settings
  const whole = Int32Array.from([...prompt, ...answer])
  // The row before a token is the law that it comes from.
  const rows = answer.map((_, i) => prompt.length + i - 1)
  const drafts = await draft.forward({ input: { tokens: whole }, want: { logits: rows, hidden: ["final"] } })
  const truth = await target.forward({ input: { tokens: whole }, want: { logits: rows } })
  const before = drafts.hidden.get("final")!
  const [choice, mixing] = [random.fork("drafts"), random.fork("mixing")]
  const labels: { row: number; acceptance: number }[] = []
  const isBefore = settings.row === "drafts"
  const mixed = whole.slice()
  for (const [i, row] of rows.entries()) {
    const { token, acceptance } = judgeToken(rowOf(drafts.logits!, i), rowOf(truth.logits!, i), settings, choice)
    if (isBefore) labels.push({ row, acceptance })
    if (isBefore || mixing.next() < kept) continue
    mixed[row + 1] = token
    labels.push({ row: row + 1, acceptance })
  }
  const read = () => draft.forward({ input: { tokens: mixed }, want: { hidden: ["final"] } })
  const final = isBefore ? before : (await read()).hidden.get("final")!
  return {
    states: concatenate(
      labels.map(({ row }) => rowOf(final, row)),
      Float32Array,
    ),
    acceptance: Float32Array.from(labels, ({ acceptance }) => acceptance),
  }
}

const rowOf = ({ data, columns }: Matrix, row: number): Float32Array =>
  data.subarray(row * columns, (row + 1) * columns)

/** A draft from one row of logits, and the chance that the other row's law takes it. Rows may differ in length. */
export function judgeToken(
  draft: Float32Array,
  target: Float32Array,
  { drafts, temperature }: Pick<LabelSettings, "drafts" | "temperature">,
  random: Random,
): { token: number; acceptance: number } {
  const [q, p] = [lawOf(draft, temperature), lawOf(target, temperature)]
  if (drafts === "likeliest") {
    const token = mostLikely(q)
    return { token, acceptance: p.prob(token) }
  }
  const token = drawFrom(q, random.next())
  return { token, acceptance: Math.min(1, p.prob(token) / q.prob(token)) }
}

/** At temperature 0 the likeliest token has all of it. */
function lawOf(row: Float32Array, temperature: number): Law {
  const { max, argmax } = extremes(row)
  if (temperature === 0) return pointLaw(argmax)
  const ids = Int32Array.from(row, (_, id) => id)
  return createLaw(
    ids,
    Float64Array.from(row, (value) => expNegative((value - max) / temperature)),
  )
}
