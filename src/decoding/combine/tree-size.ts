/** How many rows a draft may cost. Pure: from what its tokens are worth, what rows cost, and what time is worth elsewhere. */

export interface TreeSize {
  readonly size: number
  /** Tokens more than the same time would bring otherwise. */
  readonly gain: number
}

/**
 * The number of tokens to verify, of those worth most: it maximises the tokens expected beyond a plain step's, less what
 * the time for them would bring otherwise. With `rate` the tokens that a unit of cost brings on average, that maximises
 * (committed tokens) / (cost) over the whole run. The best ratio of each round alone would not: a round with a sure draft
 * would stop where its own high average falls, though its next row still brings more than rows elsewhere.
 * @param worths expected accepted tokens of each node, descending
 * @param price of so many tokens, in passes of one row beyond the plain step's
 * @param rate committed tokens for the cost of one plain pass, at least 1
 * @param funds the highest price
 */
export function bestSize(
  worths: readonly number[],
  price: (size: number) => number,
  { rate, funds }: { readonly rate: number; readonly funds: number },
): TreeSize {
  let best: TreeSize = { size: 0, gain: 0 }
  for (let size = 1, tokens = 0; size <= worths.length && price(size) <= funds; size++) {
    tokens += worths[size - 1]!
    const gain = tokens - rate * price(size)
    if (gain > best.gain) best = { size, gain }
  }
  return best
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

/** What drafts may lose before they have brought anything, in plain passes. */
const usualLoan = 0.6
/** And what they may lose of all time after that: together under a fiftieth of 64 tokens' time. */
const lossShare = 0.01

/**
 * What drafting may cost now, in plain passes: what it has gained in this run, and a little more. However records
 * mislead, a run then costs no more than plain decoding's time, 1 % and the loan.
 */
export function createFunds(loan = usualLoan): { value(): number; observe(tokens: number, cost: number): void } {
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
