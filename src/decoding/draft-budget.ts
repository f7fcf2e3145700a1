/** How much to draft: asked before each draft and after each drafted token, told what became of it. One for each run. */
import type { Room } from "./candidate-tree.ts"

/** A token that was just drafted, as a policy may look at it. */
export interface DraftedToken {
  /** How many are drafted in this line, this one included. */
  readonly count: number
  /** The drafter's probability of it, at temperature 1; computed when asked for. */
  confidence(): number
  /** As in the draft's `grades`, where the drafter knows it at once. */
  readonly grade?: number
  /** Final hidden state of the drafter's row that proposed it: it belongs to the token before. [hidden] */
  readonly hidden?: Float32Array
}

export interface DraftOutcome {
  /** Tokens drafted; of a tree, all nodes. */
  readonly drafted: number
  /** Longest line of the draft. */
  readonly depth: number
  readonly accepted: number
}

export interface DraftBudget {
  /** Whether `goesOn` wants to see hidden states. */
  readonly wantsHidden?: boolean
  /** Most that the next draft may hold; nothing means a plain step. */
  next(): Room
  /** Whether to draft on after this token, which stays in the draft either way. Default: until the room is full. */
  goesOn?(drafted: DraftedToken): boolean
  observe?(outcome: DraftOutcome): void
}

export const fixedBudget = (depth: number, nodes = depth): DraftBudget => ({ next: () => ({ depth, nodes }) })
