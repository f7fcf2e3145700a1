/** Policies of draft length beside each other, on drafts that were made once: counted, not timed. */
import type { DraftBudget, DraftedToken } from "../decoding/draft-budget.ts"

/** What the drafter would propose from one place of a text on, and how much of it is right. */
export interface DraftedLine {
  /** Leading tokens that are the text's. */
  readonly right: number
  /** As a policy sees the tokens, in order. */
  readonly drafted: readonly Omit<DraftedToken, "count">[]
}

/** One answer: its length, and the line from each place (the token there is pending, not drafted). */
export interface DraftedAnswer {
  readonly tokens: number
  lineFrom(place: number): DraftedLine
}

export interface ReplayCounts {
  /** Tokens that rounds committed, and passes of the target: one for each round. */
  readonly tokens: number
  readonly rounds: number
  readonly drafted: number
  readonly discarded: number
}

/** Counts of all answers together; each gets a policy of its own, as each run does. */
export function replay(answers: readonly DraftedAnswer[], createBudget: () => DraftBudget): ReplayCounts {
  const sum = { tokens: 0, rounds: 0, drafted: 0, discarded: 0 }
  for (const answer of answers) {
    const budget = createBudget()
    // The first token comes out of the prompt's pass.
    for (let place = 0; place < answer.tokens - 1; ) {
      const line = answer.lineFrom(place)
      const left = answer.tokens - 1 - place
      const length = draftedLength(line, budget, left - 1) // a round commits one token more than it drafts
      const accepted = Math.min(length, line.right)
      budget.observe?.({ drafted: length, depth: length, accepted })
      sum.tokens += accepted + 1
      sum.rounds++
      sum.drafted += length
      sum.discarded += length - accepted
      place += accepted + 1
    }
  }
  return sum
}

function draftedLength({ drafted }: DraftedLine, budget: DraftBudget, room: number): number {
  const most = Math.min(budget.next().depth, room, drafted.length)
  let count = 0
  while (count < most) {
    const token = drafted[count++]!
    if (budget.goesOn && !budget.goesOn({ ...token, count })) break
  }
  return count
}

/** v: passes of the target for each token. */
export const verificationRate = ({ rounds, tokens }: ReplayCounts): number => rounds / tokens

/** d: discarded drafts for each token. */
export const discardRate = ({ discarded, tokens }: ReplayCounts): number => discarded / tokens

/** Cost of a token in passes of the target, when a draft pass costs c of them: c(1 − v + d) + v. */
export const costPerToken = (counts: ReplayCounts, draftCost: number): number =>
  draftCost * (1 - verificationRate(counts) + discardRate(counts)) + verificationRate(counts)
