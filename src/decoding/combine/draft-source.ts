/** A drafter among others: what it costs, and what is believed of it before it has drafted. */
import type { RowCost } from "../../runtime/cost-estimate.ts"
import type { Drafter } from "../speculate.ts"
import type { Expectation } from "./acceptance.ts"

export interface DraftSource {
  /** Short, for reports. */
  readonly name: string
  /** Its `verify` is not used: it stands in for a pass over its own draft only, and drafts here are mixed. */
  readonly drafter: Drafter
  /** Chance of a token by its grade; by NaN, of one whose grade is not known yet. */
  readonly expected: Expectation
  /** Of reading `unread` tokens and drafting `drafted`, in passes of the target of one row. Default: not worth counting. */
  cost?(drafted: number, unread: number): number
}

/** What time is worth. */
export interface Market {
  /** Of a pass with so many rows. */
  readonly cost: RowCost
  /** Committed tokens for the cost of one plain pass, at least 1. */
  readonly rate: number
}

export interface DraftPlan {
  readonly length: number
  /** Tokens more than the same time would bring otherwise. */
  readonly gain: number
}

/**
 * How far to draft where drafting itself costs: the line that gains most when each token is accepted with this chance.
 * Length 0 when none does.
 */
export function planDraft(
  chance: number,
  most: number,
  { cost, rate }: Market,
  draftCost: (drafted: number) => number,
): DraftPlan {
  let best: DraftPlan = { length: 0, gain: 0 }
  for (let length = 1, tokens = 0; length <= most; length++) {
    tokens += chance ** length
    const gain = tokens - rate * (cost(1 + length) - 1 + draftCost(length))
    if (gain > best.gain) best = { length, gain }
  }
  return best
}
