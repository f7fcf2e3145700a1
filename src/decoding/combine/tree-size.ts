/** How many rows a draft may cost. Pure: from what its tokens are worth, what rows cost, and what time is worth elsewhere. */
import type { RowCost } from "../../runtime/cost-estimate.ts"

/**
 * The number of tokens to verify, of those worth most: it maximises the tokens expected beyond a plain step's, less what
 * the time for them would bring otherwise. With `rate` the tokens that a unit of cost brings on average, that maximises
 * (committed tokens) / (cost) over the whole run. The best ratio of each round alone would not: a round with a sure draft
 * would stop where its own high average falls, though its next row still brings more than rows elsewhere.
 * @param worths expected accepted tokens of each node, descending
 * @param cost in passes of one row
 * @param rate committed tokens for the cost of one plain pass, at least 1
 */
export function bestSize(worths: readonly number[], cost: RowCost, rate: number): number {
  let best = { size: 0, gain: 0 }
  for (let size = 1, tokens = 0; size <= worths.length; size++) {
    tokens += worths[size - 1]!
    const gain = tokens - rate * (cost(1 + size) - 1)
    if (gain > best.gain) best = { size, gain }
  }
  return best.size
}

/** What verifying the first `size` of them gains, in tokens. */
export function gainOf(
  worths: readonly number[],
  size: number,
  { cost, rate }: { cost: RowCost; rate: number },
): number {
  const tokens = worths.slice(0, size).reduce((sum, worth) => sum + worth, 0)
  return tokens - rate * (cost(1 + size) - 1)
}

/** Worths of a line in which each token is accepted with the same chance. */
export const lineWorths = (chance: number, length: number): number[] =>
  Array.from({ length }, (_, i) => chance ** (i + 1))

/** Committed tokens for the cost of one plain pass, lately; at least 1, which plain steps bring. */
export function createRate(): { value(): number; observe(tokens: number, cost: number): void } {
  let [tokens, spent] = [patience, patience]
  return {
    value: () => Math.max(1, tokens / spent),
    observe(committed, cost) {
      tokens = memory * tokens + committed
      spent = memory * spent + cost
    },
  }
}

/** Plain passes that the beginning counts as. */
const patience = 8
/** About the last thirty rounds count. */
const memory = 0.97

/** What may be lost on drafts before they have brought anything, in plain passes, and the share of all time after that. */
const loan = 2
const lossShare = 0.01

/**
 * What drafting may cost now, in plain passes: what it has gained in this run, and a little more. However records
 * mislead, a run then costs no more than plain decoding's time, 1 % and the loan.
 */
export function createFunds(): { value(): number; observe(tokens: number, cost: number): void } {
  let funds = loan
  return {
    value: () => funds,
    observe(committed, cost) {
      // Gains of long ago do not pay for a long loss.
      funds = Math.min(mostFunds, funds + committed - cost + lossShare * cost)
    },
  }
}

const mostFunds = 12

/** How many of the worths are left when drafts may cost no more than `funds`. */
export function affordable(worths: readonly number[], cost: RowCost, funds: number): readonly number[] {
  let size = 0
  while (size < worths.length && cost(2 + size) - 1 <= funds) size++
  return worths.slice(0, size)
}
