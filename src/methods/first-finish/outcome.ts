/** What a race comes to: who was heard, what they say, and what it cost. Pure. */
import { majority } from "../../decoding/answer.ts"
import type { LaneEnd } from "./race.ts"
import { type ChoiceRule, choose } from "./vote.ts"

export interface RaceOutcome {
  /** no-finish: every lane ran into the limit, and `text` is the longest of them, not an answer. */
  readonly status: "finished" | "no-finish" | "abort"
  readonly text: string
  readonly answer?: string | undefined
  /** Lanes that were heard, the first to finish first. */
  readonly winners: readonly number[]
  readonly finishedLengths: readonly number[]
  /** Tokens on the critical path; in all lanes; of these, in lanes that were cancelled. */
  readonly sequentialTokens: number
  readonly totalTokens: number
  readonly cancelledTokens: number
  /** Rows read before the lanes' first tokens. */
  readonly prefillTokens: number
  readonly lanes: readonly LaneReport[]
}

export interface LaneReport {
  readonly end: LaneEnd
  readonly tokens: number
  readonly text: string
  readonly answer?: string | undefined
}

/** The text is that of the first lane heard that gives the answer. */
export function raceOutcome(
  lanes: readonly LaneReport[],
  rule: Pick<ChoiceRule, "keep" | "count">,
  { aborted, prefillTokens }: { readonly aborted: boolean; readonly prefillTokens: number },
): RaceOutcome {
  const traces = lanes.map(({ end, tokens, answer }) => ({ length: tokens, answer, finished: end === "finished" }))
  const { voters } = choose(traces, { ...rule, requireAnswer: false })
  const answer = majority([...voters].sort((a, b) => a - b).map((i) => lanes[i]!.answer))
  const longest = lanes.reduce((best, { tokens }, i) => (tokens > lanes[best]!.tokens ? i : best), 0)
  const spoken = voters.find((i) => lanes[i]!.answer === answer) ?? longest
  const sum = (of: readonly LaneReport[]) => of.reduce((total, { tokens }) => total + tokens, 0)
  return {
    status: aborted ? "abort" : voters.length > 0 ? "finished" : "no-finish",
    text: lanes[spoken]!.text,
    ...(answer === undefined ? {} : { answer }),
    winners: voters,
    finishedLengths: voters.map((i) => lanes[i]!.tokens),
    sequentialTokens: Math.max(...lanes.map(({ tokens }) => tokens)),
    totalTokens: sum(lanes),
    cancelledTokens: sum(lanes.filter(({ end }) => end === "cancelled")),
    prefillTokens,
    lanes,
  }
}
