/** What a pass of n rows costs, in passes of one row: from a measured curve, or a guess, and from passes seen since. */
import { median } from "../tensor/math.ts"
import { type CostCurve, relativeCost } from "./cost-curve.ts"
import type { SeenTimes, Span } from "./ledger.ts"

export type RowCost = (rows: number) => number

/**
 * For a machine that nothing is known of: what two cores of a server need with int8 weights, a little dearer. More
 * threads make rows cheaper, so this errs towards drafting less.
 */
const unmeasured: CostCurve = {
  rows: [1, 2, 4, 8, 16, 32],
  milliseconds: [1, 1.35, 1.7, 2.6, 4.2, 7.6],
  context: 64,
}

/** Passes of one size that are as much evidence as the curve's own point for it. */
const weightOf = { measured: 16, unmeasured: 2 }
/** Below this a median is no more than luck. */
const fewest = 3

/** cost(1) is 1; it never falls as rows are added, and n rows never cost more than n passes. */
export function estimateCost(curve: CostCurve | undefined, seen: SeenTimes): RowCost {
  const base = curve ?? unmeasured
  const corrections = correctionsOf(base, seen, curve ? weightOf.measured : weightOf.unmeasured)
  const known: number[] = [0]
  return (rows) => {
    for (let n = known.length; n <= rows; n++)
      known.push(clamp(relativeCost(base, n) * interpolated(corrections, n), Math.max(1, known[n - 1]!), n))
    return known[rows]!
  }
}

/** A pass of one row beside another model's, where both were seen often enough. */
export function relativeTime(seen: SeenTimes, beside: SeenTimes): number | undefined {
  const [ours, theirs] = [seen.get(1) ?? [], beside.get(1) ?? []]
  return Math.min(ours.length, theirs.length) < fewest ? undefined : median(ours) / median(theirs)
}

/** A small graph's pass of a few rows, beside a model's pass of one; undefined before both were seen often enough. */
export function relativePass(spans: readonly Span[], beside: SeenTimes): number | undefined {
  const ones = beside.get(1) ?? []
  const few = spans.filter(({ rows }) => rows <= fewRows).map(({ begin, end }) => end - begin)
  return Math.min(few.length, ones.length) < fewest ? undefined : median(few) / median(ones)
}
/** A level of a small tree. */
const fewRows = 8

type Correction = readonly [rows: number, factor: number]

/** How much dearer than the base passes of each size were, drawn towards 1 where few were seen. Ascending. */
function correctionsOf(base: CostCurve, seen: SeenTimes, weight: number): Correction[] {
  const ones = seen.get(1) ?? []
  if (ones.length < fewest) return [[1, 1]]
  const one = median(ones)
  const sizes = [...seen].filter(([rows, times]) => rows > 1 && times.length >= fewest).sort(([a], [b]) => a - b)
  return [
    [1, 1],
    ...sizes.map(([rows, times]): Correction => {
      const factor = median(times) / one / relativeCost(base, rows)
      return [rows, (weight + times.length * factor) / (weight + times.length)]
    }),
  ]
}

/** Linear between corrections; the last one's beyond it. */
function interpolated(corrections: readonly Correction[], rows: number): number {
  const upper = corrections.findIndex(([size]) => size >= rows)
  if (upper < 0) return corrections.at(-1)![1]
  const [size, factor] = corrections[upper]!
  if (size === rows) return factor
  const [below, before] = corrections[upper - 1]!
  return before + ((factor - before) * (rows - below)) / (size - below)
}

const clamp = (value: number, low: number, high: number) => Math.max(low, Math.min(high, value))
