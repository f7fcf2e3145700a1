/** Which of the waiting passes run together. Pure decisions. */
import { blockSize } from "../models/builder.ts"
import type { Resolved } from "./resolve-pass.ts"

export interface MergeLimits {
  /** Rows of a merged pass. A pass that is larger by itself runs all the same. */
  readonly rows: number
  /** Sequences in a merged pass. */
  readonly members: number
}

export const defaultLimits: MergeLimits = { rows: 192, members: 64 }

/** Whether the pass may share its pass with others: whole, within its block, and no odd wishes. */
export function isMergeable({ layers, past, rows }: Resolved, allLayers: number): boolean {
  return layers[0] === 0 && layers[1] === allLayers && (past % blockSize) + rows <= blockSize
}

/** Passes give whole rows of logits, or so many of the largest: all members of a pass the same. */
function agree(a: Resolved, b: Resolved): boolean {
  return a.logitRows.length === 0 || b.logitRows.length === 0 || a.top === b.top
}

/**
 * The one that waited longest, then small passes (somebody's next token) before large ones (prompts), each in order of
 * arrival, as long as they fit.
 * @returns indices into `waiting`, which is in order of arrival and not empty
 */
export function chooseMembers(waiting: readonly Resolved[], allLayers: number, limits: MergeLimits): number[] {
  const oldest = waiting[0]!
  const chosen = [0]
  if (!isMergeable(oldest, allLayers)) return chosen
  let rows = oldest.rows
  const bySize = waiting.map((_, i) => i).slice(1)
  bySize.sort((a, b) => Number(isLarge(waiting[a]!)) - Number(isLarge(waiting[b]!)) || a - b)
  for (const i of bySize) {
    const one = waiting[i]!
    if (chosen.length >= limits.members) break
    if (rows + one.rows > limits.rows || !isMergeable(one, allLayers)) continue
    if (!chosen.every((other) => agree(waiting[other]!, one))) continue
    chosen.push(i)
    rows += one.rows
  }
  return chosen
}

/** Larger than most candidate trees: part of a prompt. */
const isLarge = ({ rows }: Resolved): boolean => rows > 16
