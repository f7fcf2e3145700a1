/** Medians and bootstrap intervals: what benchmark numbers are reported as. */
import { ForerunError } from "../base/errors.ts"
import { median } from "../tensor/math.ts"
import { createRandom, type Random } from "../tensor/random.ts"

export { median }

/** A median and its 95 % bootstrap interval. */
export interface Interval {
  readonly median: number
  readonly low: number
  readonly high: number
}

/** Linear between order statistics (type 7 of Hyndman and Fan, 1996). */
export function quantile(sorted: ArrayLike<number>, fraction: number): number {
  const at = (sorted.length - 1) * fraction
  const below = Math.floor(at)
  const low = sorted[below]!
  return low + (at - below) * (sorted[Math.min(below + 1, sorted.length - 1)]! - low)
}

const resamples = 2000
const draw = (count: number, random: Random) => Math.floor(random.next() * count)
const drawn = (values: readonly number[], random: Random) => values.map(() => values[draw(values.length, random)]!)

/** Median of the values, with the percentile bootstrap's interval. The same values always give the same interval. */
export const medianInterval = (values: readonly number[], seed = 0): Interval => groupedInterval([values], { seed })

export interface BootstrapOptions {
  readonly seed?: number
  /** Of the values of a group; default the median. Over groups it is always the median. */
  readonly statistic?: (values: readonly number[]) => number
}

/**
 * Median over groups (prompts) of the median within each (repetitions). Groups are resampled, then the values within
 * each: a prompt measured ten times is not ten prompts. With one group only the values within it vary.
 */
export function groupedInterval(groups: readonly (readonly number[])[], options: BootstrapOptions = {}): Interval {
  const { seed = 0, statistic = median } = options
  const random = createRandom(seed).fork("bootstrap")
  const medians = new Float64Array(resamples)
  for (let i = 0; i < resamples; i++)
    medians[i] = median(groups.map(() => statistic(drawn(groups[draw(groups.length, random)]!, random))))
  medians.sort()
  return { median: median(groups.map(statistic)), low: quantile(medians, 0.025), high: quantile(medians, 0.975) }
}

/** Interval of above / below, pair by pair: both sides of a pair met the same state of the machine. */
export function ratioInterval(above: readonly number[], below: readonly number[], seed = 0): Interval {
  if (above.length !== below.length)
    throw new ForerunError("E_INTERNAL", `ratios need pairs, found ${above.length} and ${below.length} values`)
  return medianInterval(
    above.map((value, i) => value / below[i]!),
    seed,
  )
}

/** What one prompt cost two sides, repetition by repetition, and how many tokens each gave for it. */
export interface CostPair {
  readonly plain: readonly number[]
  readonly ours: readonly number[]
  readonly plainTokens: number
  readonly ourTokens: number
}

/**
 * Cost a token of the one side over that of the other, each a ratio of sums over prompts (long answers weigh more, as
 * they do for a user); a prompt's cost is its median over repetitions. Prompts are resampled whole, both sides
 * together, and the repetitions within each. Undefined where a side has no tokens or took no time.
 */
export function costRatio(pairs: readonly CostPair[], seed = 0): Interval | undefined {
  const ratio = (chosen: readonly CostPair[]) => {
    const sum = (value: (pair: CostPair) => number) => chosen.reduce((total, pair) => total + value(pair), 0)
    const plain = sum(({ plain }) => median(plain)) / sum(({ plainTokens }) => plainTokens)
    return plain / (sum(({ ours }) => median(ours)) / sum(({ ourTokens }) => ourTokens))
  }
  const found = pairs.length > 0 ? ratio(pairs) : Number.NaN
  if (!Number.isFinite(found) || found <= 0) return undefined
  const random = createRandom(seed).fork("bootstrap")
  const ratios: number[] = []
  for (let i = 0; i < resamples; i++) {
    const chosen = pairs.map(() => {
      const pair = pairs[draw(pairs.length, random)]!
      const repetitions = pair.plain.map(() => draw(pair.plain.length, random))
      return { ...pair, plain: repetitions.map((at) => pair.plain[at]!), ours: repetitions.map((at) => pair.ours[at]!) }
    })
    const value = ratio(chosen)
    if (Number.isFinite(value)) ratios.push(value) // a draw of answers without decoding has none
  }
  ratios.sort((a, b) => a - b)
  return { median: found, low: quantile(ratios, 0.025), high: quantile(ratios, 0.975) }
}

/** A ratio of sums, and its 95 % interval when what is summed over is drawn again. */
export interface Pooled {
  readonly value: number
  readonly low: number
  readonly high: number
}

/** Sum of what is above over the sum of what is below; 1 where that is nothing. Pairs are resampled whole. */
export function pooledRatio(pairs: readonly (readonly [above: number, below: number])[], seed = 0): Pooled {
  const ratio = (chosen: typeof pairs) => {
    const below = chosen.reduce((sum, pair) => sum + pair[1], 0)
    return below === 0 ? 1 : chosen.reduce((sum, pair) => sum + pair[0], 0) / below
  }
  return {
    value: ratio(pairs),
    ...middle95(redrawn(pairs.length, (drawn) => ratio(drawn.map((i) => pairs[i]!)), seed)),
  }
}

/** What is said of `count` things each time that they are drawn again. The same draws for the same count and seed. */
export function redrawn<T>(count: number, statistic: (drawn: readonly number[]) => T, seed = 0): T[] {
  const random = createRandom(seed).fork("bootstrap")
  const all = Array.from({ length: count }, (_, i) => i)
  return Array.from({ length: resamples }, () => statistic(all.map(() => draw(count, random))))
}

/** 95 % of what was said; draws of which nothing can be said (NaN) are left out. */
export function middle95(values: readonly number[]): { readonly low: number; readonly high: number } {
  const sorted = values.filter((value) => !Number.isNaN(value)).sort((a, b) => a - b)
  return { low: quantile(sorted, 0.025), high: quantile(sorted, 0.975) }
}

/** A share of successes and its 95 % score interval (Wilson, 1927), which stays inside 0 to 1. */
export interface Share {
  readonly right: number
  readonly total: number
  readonly value: number
  readonly low: number
  readonly high: number
}

export function shareInterval(right: number, total: number): Share {
  if (total === 0) return { right, total, value: Number.NaN, low: 0, high: 1 }
  const z = 1.959963984540054
  const value = right / total
  const middle = (value + z ** 2 / (2 * total)) / (1 + z ** 2 / total)
  const half = (z * Math.sqrt((value * (1 - value)) / total + z ** 2 / (4 * total ** 2))) / (1 + z ** 2 / total)
  return { right, total, value, low: Math.max(0, middle - half), high: Math.min(1, middle + half) }
}

/** A mean and its 95 % interval by the normal approximation; of one value, no interval but itself. */
export function meanInterval(values: readonly number[]): { mean: number; low: number; high: number } {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / Math.max(1, values.length - 1)
  const half = 1.959963984540054 * Math.sqrt(variance / values.length)
  return { mean, low: mean - half, high: mean + half }
}
