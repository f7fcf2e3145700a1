/** What the head costs in units of a layer: what an early exit pays beside the layers it runs. */
import type { ModelConfig } from "../models/config.ts"
import { median } from "../tensor/math.ts"
import type { SeenTimes } from "./ledger.ts"

type Sizes = Pick<ModelConfig, "hidden" | "intermediate" | "vocabulary" | "heads" | "kvHeads" | "headSize">

/** Weights of the head over weights of a layer: a pass of one row is bound by reading them. */
export function headCostBySize({ hidden, intermediate, vocabulary, heads, kvHeads, headSize }: Sizes): number {
  const attention = 2 * hidden * heads * headSize + 2 * hidden * kvHeads * headSize
  return (vocabulary * hidden) / (attention + 3 * hidden * intermediate)
}

/** Passes of one row that a depth needs to count. */
const fewest = 3

export interface DepthTimes {
  depths(): readonly number[]
  times(layers: number): SeenTimes
}

/**
 * The line through the times of passes of one row by their depth: what no layer accounts for, in layers. undefined
 * until two depths were seen often enough, and where the times make no sense (a busy machine).
 */
export function timedHeadCost(ledger: DepthTimes): number | undefined {
  const points = ledger.depths().flatMap((depth) => {
    const times = ledger.times(depth).get(1) ?? []
    return times.length < fewest ? [] : [{ depth, time: median(times) }]
  })
  if (points.length < 2) return undefined
  const mean = (value: (point: (typeof points)[number]) => number) =>
    points.reduce((sum, point) => sum + value(point), 0) / points.length
  const [depth, time] = [mean((point) => point.depth), mean((point) => point.time)]
  const layer =
    mean((point) => (point.depth - depth) * (point.time - time)) / mean((point) => (point.depth - depth) ** 2)
  const rest = time - layer * depth
  return layer > 0 && rest >= 0 ? rest / layer : undefined
}
