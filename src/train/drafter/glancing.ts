/**
 * Coupled sequential glancing (Falcon, arXiv 2412.12639 §3.3): where a first look goes wrong, some rows are given the
 * features and tokens that they should lead to, so that the rest of their block learns to use them.
 */
import { lessOrEqual, minimum, multiply, reshape, slice, subtract, type Value, where } from "../../graph/index.ts"
import type { Random } from "../../tensor/random.ts"
import { shuffled } from "../dataset.ts"

export const glancingSchedules = ["off", "paper", "code"] as const
export type GlancingSchedule = (typeof glancingSchedules)[number]

/** λ after a share of the training: 0.4 falling to 0 in the paper, 0.45 to 0.1 in its code. */
export function glancingRate(schedule: GlancingSchedule, progress: number): number {
  if (schedule === "off") return 0
  return schedule === "paper" ? 0.4 * (1 - progress) : 0.35 * (1 - progress) + 0.1
}

/**
 * Blocks that are glanced at for each row that is to be: one, so λ·misses·rows rows make that share of all blocks twice
 * as large for a span of 2. Longer spans take one start for every `span` rows, and some of what follows it along.
 */
export const blocksPerRow = (span: number): number => (span === 2 ? 2 : 1)

/**
 * For each row its block's place in a random order of the blocks all of whose rows count, as a share of them: in (0, 1],
 * and 2 for rows that are never replaced: those of other blocks, and all but the first 1 to span − 1 of a block. Starts
 * are the blocks' own (the published code takes every span-th counting row, which may be a block's last). [rows]
 */
export function glancingOrder(counting: readonly number[], rows: number, span: number, random: Random): Float32Array {
  const counts = new Uint8Array(rows / span)
  for (const row of counting) counts[Math.floor(row / span)]!++
  const blocks = Array.from(counts.keys()).filter((block) => counts[block] === span)
  const order = new Float32Array(rows).fill(2)
  for (const [place, index] of shuffled(blocks.length, random).entries()) {
    const first = blocks[index]! * span
    const extra = span > 2 ? Math.floor(random.next() * (span - 1)) : 0
    order.fill((place + 1) / blocks.length, first, first + 1 + extra)
  }
  return order
}

/** min(1, λ · misses · blocks for each row), all scalars. */
export function glancedShare(rate: Value, misses: Value, span: number): Value {
  const number = (value: number) => rate.graph.scalar("float32", value)
  return minimum(multiply(multiply(rate, misses), number(blocksPerRow(span))), number(1))
}

export interface GlancingInputs {
  /** [batch, rows + span, hidden]: what stands `span` rows further is a row's answer. */
  readonly embedded: Value
  readonly features: Value
  /** glancingOrder of each row, [batch · rows]. */
  readonly order: Value
  /** Share of the blocks, a scalar; undefined: none. */
  readonly share: Value | undefined
  readonly span: number
}

/** Rows [batch · rows, hidden], the chosen ones replaced by their answers: embedding and feature alike. */
export function glanced({ embedded, features, order, share, span }: GlancingInputs): {
  embedded: Value
  features: Value
} {
  const [batch, wide, hidden] = embedded.shape as [number, number, number]
  const rows = wide - span
  const chosen = share && lessOrEqual(reshape(order, [batch, rows, 1]), share)
  const replaced = (x: Value) => {
    const own = slice(x, 1, 0, rows)
    return reshape(chosen ? where(chosen, slice(x, 1, span, wide), own) : own, [batch * rows, hidden])
  }
  return { embedded: replaced(embedded), features: replaced(features) }
}

/** 1 − a share. */
export const rest = (share: Value): Value => subtract(share.graph.scalar("float32", 1), share)
