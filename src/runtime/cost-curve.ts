/** cost(rows): what a pass of n rows costs, relative to one row. Measured once per machine, model, format and threads. */
import { ForerunError } from "../base/errors.ts"
import { median } from "../tensor/math.ts"
import type { ModelRunner } from "./pass.ts"

export interface CostCurve {
  /** Numbers of rows measured, ascending, the first 1. */
  readonly rows: readonly number[]
  /** Median milliseconds of a pass with that many rows. */
  readonly milliseconds: readonly number[]
  /** Cached positions during the measurement. */
  readonly context: number
}

export interface CostCurveOptions {
  readonly rows?: readonly number[]
  readonly context?: number
  readonly repetitions?: number
  readonly signal?: AbortSignal
}

const defaultRows = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32]

/** Interleaves the sizes, so that a slow spell of the machine falls on all of them alike. */
export async function measureCostCurve(runner: ModelRunner, options: CostCurveOptions = {}): Promise<CostCurve> {
  const { rows = defaultRows, context = 64, repetitions = 9, signal } = options
  const cache = runner.openCache()
  const tokens = (count: number) => Int32Array.from({ length: count }, (_, i) => (i * 7919) % runner.config.vocabulary)
  try {
    const past = await runner.forward({ input: { tokens: tokens(context) }, cache })
    past.keep(Array.from({ length: context }, (_, row) => row))
    const times = rows.map((): number[] => [])
    for (let repetition = 0; repetition <= repetitions; repetition++)
      for (const [index, count] of rows.entries()) {
        if (signal?.aborted) throw new ForerunError("E_ABORTED", "measuring the cost curve was aborted")
        const begin = performance.now()
        await runner.forward({ input: { tokens: tokens(count) }, cache, want: { logits: "all" } })
        if (repetition > 0) times[index]!.push(performance.now() - begin) // the first round warms up
      }
    return { rows, milliseconds: times.map(median), context }
  } finally {
    cache.dispose()
  }
}

/** How far a measured time may be off on a machine that nobody disturbs. */
const noise = 1.2

/**
 * Whether a curve can be true: more rows never cost less, and n rows never cost more than n passes of one row. Times
 * taken beside other programs break one of the two sooner or later.
 */
export function isPlausible({ rows, milliseconds }: CostCurve): boolean {
  const one = milliseconds[0]!
  return milliseconds.every((time, i) => {
    const highest = Math.max(...milliseconds.slice(0, i), 0)
    // A second row shares all reading of weights with the first: twice the time is a slow spell, not its cost.
    const most = rows[i] === 2 ? 1.75 * one : rows[i]! * one * noise
    return time * noise >= highest && (i === 0 || time <= most)
  })
}

/** cost(rows) / cost(1), linear between measured sizes and beyond the last. */
export function relativeCost(curve: CostCurve, rows: number): number {
  const { rows: sizes, milliseconds } = curve
  const one = milliseconds[0]!
  let upper = sizes.findIndex((size) => size >= rows)
  if (upper === 0) return 1
  if (upper < 0) upper = sizes.length - 1
  const [x0, x1] = [sizes[upper - 1]!, sizes[upper]!]
  const [y0, y1] = [milliseconds[upper - 1]!, milliseconds[upper]!]
  return (y0 + ((y1 - y0) * (rows - x0)) / (x1 - x0)) / one
}
