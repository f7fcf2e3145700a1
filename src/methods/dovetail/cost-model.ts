/** What a round costs when one device drafts and another verifies, and which budget pays: Dovetail's arithmetic. Pure. */

/** Milliseconds of a verification of g rows: base + row · g. */
export interface VerifyCost {
  readonly base: number
  readonly row: number
}

export interface TimedRows {
  readonly rows: number
  readonly milliseconds: number
}

/** Least squares through measured passes. At least two sizes. */
export function fitVerifyCost(points: readonly TimedRows[]): VerifyCost {
  const mean = (value: (point: TimedRows) => number) =>
    points.reduce((sum, point) => sum + value(point), 0) / points.length
  const [rows, time] = [mean((point) => point.rows), mean((point) => point.milliseconds)]
  const row =
    mean((point) => (point.rows - rows) * (point.milliseconds - time)) / mean((point) => (point.rows - rows) ** 2)
  return { base: time - row * rows, row }
}

/** Times of a round's phases, in any unit. */
export interface RoundTimes {
  readonly draft: number
  readonly transfer: number
  readonly verify: number
}

/** One after the other, as Dovetail runs them. */
export const serialRound = ({ draft, transfer, verify }: RoundTimes): number => draft + transfer + verify

/**
 * The next draft begins while this one is verified, from the guess that all of it is accepted. An extension, not
 * Dovetail. @param hit probability that the guess holds
 */
export const overlappedRound = ({ draft, transfer, verify }: RoundTimes, hit: number): number =>
  transfer + hit * Math.max(draft, verify) + (1 - hit) * (draft + verify)

export interface BudgetChoice {
  /** Rows of a verification, the pending token's included. */
  readonly rows: number
  /** Tokens for the time of one plain pass. */
  readonly speedup: number
}

/**
 * The number of rows with the most tokens for its time; 1 where no draft pays.
 * @param tokens committed tokens of a round by its rows: index 0 is one row, which commits one token
 */
export function bestBudget(tokens: readonly number[], drafting: Omit<RoundTimes, "verify">, cost: VerifyCost) {
  const verify = (rows: number) => cost.base + cost.row * rows
  let best: BudgetChoice = { rows: 1, speedup: 1 }
  for (let rows = 2; rows <= tokens.length; rows++) {
    const speedup = (tokens[rows - 1]! * verify(1)) / serialRound({ ...drafting, verify: verify(rows) })
    if (speedup > best.speedup) best = { rows, speedup }
  }
  return best
}

/** A place on the map of where it pays. */
export interface Placement {
  /** Committed tokens of a round. */
  readonly tokens: number
  /** Passes of the drafter in a round: one for each level. */
  readonly passes: number
  /** A pass of the drafter on the target's device, in passes of the target of one row. */
  readonly draftCost: number
  /** How many times faster the draft's device is for such a pass; 1: the same device. */
  readonly deviceRatio: number
  /** A verification, in passes of one row. */
  readonly verifyCost: number
  /** Between the devices, in passes of one row. */
  readonly transfer: number
}

/** Speed beside the target alone on its device. */
export const placedSpeedup = (place: Placement): number =>
  place.tokens /
  serialRound({
    draft: (place.passes * place.draftCost) / place.deviceRatio,
    transfer: place.transfer,
    verify: place.verifyCost,
  })

/** Tokens a round that such a speed takes. */
export const tokensFor = (speedup: number, place: Omit<Placement, "tokens">): number =>
  speedup / placedSpeedup({ ...place, tokens: 1 })

export interface DrafterCount {
  readonly hidden: number
  readonly intermediate: number
  readonly kvWidth: number
  readonly vocabulary: number
  readonly layers: number
}

/** Weights of a drafter: dynamic fusion (4 D²), its layers, and the target's embedding and head. */
export function drafterWeights({ hidden, intermediate, kvWidth, vocabulary, layers }: DrafterCount): number {
  const layer = 2 * hidden * hidden + 2 * hidden * kvWidth + 3 * hidden * intermediate
  return 4 * hidden * hidden + layers * layer + 2 * vocabulary * hidden
}
