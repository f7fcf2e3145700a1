/** A drafter among others: what it costs, and what is believed of it before it has drafted. */
import type { RowCost } from "../../runtime/cost-estimate.ts"
import type { Drafter } from "../speculate.ts"
import type { Expectation } from "./acceptance.ts"
import { bestSize, lineWorths, type TreeSize } from "./tree-size.ts"

export interface DraftSource {
  /** Short, for reports. */
  readonly name: string
  /** Its `verify` is not used: it stands in for a pass over its own draft only, and drafts here are mixed. */
  readonly drafter: Drafter
  /** Chance of a token by its grade; by NaN, of one whose grade is not known yet. */
  readonly expected: Expectation
  /** Tries that the expectation is worth; default a few. More where it was counted for this very target. */
  readonly trust?: number
  /** Of reading `unread` tokens and drafting `depth` ahead, in passes of the target of one row. Default: not worth counting. */
  cost?(depth: number, unread: number): number
  /** Nodes wanted for each place ahead, of a drafter that branches; default 1. */
  readonly branches?: number
}

/** What time is worth. */
export interface Market {
  /** Of a pass with so many rows. */
  readonly cost: RowCost
  /** Committed tokens for the cost of one plain pass, at least 1. */
  readonly rate: number
  /** The most that a draft may cost now, in plain passes. */
  readonly funds: number
}

/** What verifying so many tokens adds to a plain step. */
export const priceOf =
  ({ cost }: Market) =>
  (size: number): number =>
    cost(1 + size) - 1

/**
 * How far to draft where drafting itself costs: the line that gains most when each token is accepted with this chance.
 * Size 0 when none does.
 */
export const planDraft = (
  chance: number,
  most: number,
  market: Market,
  draftCost: (drafted: number) => number,
): TreeSize => {
  const price = priceOf(market)
  return bestSize(lineWorths(chance, most), (size) => price(size) + draftCost(size), market)
}
