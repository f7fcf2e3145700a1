/** When to stop drafting: as soon as a refusal among the drafted tokens is likelier than a threshold (paper, algorithm 1). */
import type { DraftBudget } from "../../decoding/draft-budget.ts"
import type { AcceptanceHead } from "./acceptance-head.ts"
import type { HeadRow } from "./labels.ts"

export interface StopLimits {
  /** h: a draft ends when P(some token of it is refused) exceeds this. */
  readonly threshold: number
  /** Tokens that are drafted in any case, and the most. */
  readonly shortest: number
  readonly longest: number
  /** Which row judges a token; default "reads". */
  readonly row?: HeadRow
}

/**
 * Whether to draft on after `count` tokens.
 * @param survival product of the acceptance probabilities of the tokens that were judged: all but the last
 */
export function draftsOn(count: number, survival: number, { threshold, shortest, longest }: StopLimits): boolean {
  if (count >= longest) return false
  if (count < shortest) return true
  return !(1 - survival > threshold)
}

/**
 * The hidden state of a token exists when the draft model has read it, which also drafts the next one: so after k
 * tokens the first k − 1 are judged, and a draft holds one token that is not. Where the row that drafts a token judges
 * it, all are judged.
 */
export function survivalBudget(head: Pick<AcceptanceHead, "accepts">, limits: StopLimits): DraftBudget {
  let survival = 1
  return {
    wantsHidden: true,
    next() {
      survival = 1
      return { depth: limits.longest, nodes: limits.longest }
    },
    goesOn({ count, hidden }) {
      // The first token's row read the pending token, which is the target's own.
      if ((count > 1 || limits.row === "drafts") && hidden) survival *= head.accepts(hidden)
      return draftsOn(count, survival, limits)
    },
  }
}
