/** What drafting achieved over many answers, and what that should have gained. */
import type { SpeculationReport } from "../decoding/speculation-report.ts"
import type { GenerateResult } from "../generate/types.ts"
import { type CostCurve, relativeCost } from "../runtime/cost-curve.ts"

export interface PooledSpeculation extends SpeculationReport {
  /** Element i: share of rounds that accepted more than i drafted tokens. */
  readonly byPosition: readonly number[]
}

/** Rounds of all answers together, so that long answers weigh more (as Spec-Bench counts); undefined without drafts. */
export function poolSpeculation(results: readonly GenerateResult[]): PooledSpeculation | undefined {
  const each = results.flatMap(({ speculation }) => speculation ?? [])
  const sum = (value: (one: SpeculationReport) => number) => each.reduce((total, one) => total + value(one), 0)
  const rounds = sum((one) => one.rounds)
  if (rounds === 0) return undefined
  const longest = Math.max(...each.map(({ histogram }) => histogram.length))
  const histogram = Array.from({ length: longest }, (_, i) => sum((one) => one.histogram[i] ?? 0))
  const more = (i: number) => histogram.slice(i + 1).reduce((total, count) => total + count, 0)
  return {
    rounds,
    drafted: sum((one) => one.drafted),
    accepted: sum((one) => one.accepted),
    meanAcceptedLength: sum((one) => one.rounds * one.meanAcceptedLength) / rounds,
    histogram,
    byPosition: histogram.slice(1).map((_, i) => more(i) / rounds),
  }
}

/**
 * Tokens a round over what a round's pass costs, in passes of one row. It leaves out drafting itself, work between
 * passes, contexts longer than the curve's, and that rounds differ in size.
 */
export function predictedSpeedup(curve: CostCurve, one: SpeculationReport): number {
  return one.meanAcceptedLength / relativeCost(curve, 1 + one.drafted / one.rounds)
}

/** What a prediction that is off by more than 10 % has left out. */
export function unmodelled(predicted: number, measured: number, draftPasses: number): string[] {
  if (Math.abs(predicted / measured - 1) <= 0.1) return []
  return [
    ...(draftPasses > 0 ? ["passes of the draft model"] : []),
    ...(predicted > measured ? ["drafting and other work between passes"] : []),
    "contexts longer than the cost curve's",
    "rounds of unequal size",
  ]
}
