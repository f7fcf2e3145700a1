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
