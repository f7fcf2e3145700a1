/** Drafts from the target's features: hands the text's rows to the drafter, lets it grow a tree, picks what is verified. */
import type { RowCost } from "../../runtime/cost-estimate.ts"
import { concatenate } from "../../tensor/concatenate.ts"
import { type CandidateTree, emptyTree, type Room } from "../candidate-tree.ts"
import { bestSize, createRate } from "../combine/tree-size.ts"
import type { Draft, Drafter, DraftState } from "../speculate.ts"
import { draftBelow, likeliestLine } from "./draft-ahead.ts"
import type { DraftPart } from "./draft-part.ts"
import { createDraftSession, type TextRows } from "./draft-session.ts"
import { likeliestNodes, type PickedTree, type ScoredTree } from "./grow.ts"
import type { TreeSpec } from "./tree-shape.ts"

export interface FeatureDrafterParts {
  readonly part: DraftPart
  readonly shape: TreeSpec
  readonly depth: number
  /** Verify as many of the nodes as pay for their rows; undefined: as many as there is room for. */
  readonly cost?: RowCost
  /** Rows of the prompt that it reads at most, its last ones; default all. */
  readonly past?: number
  /** Draft on while the target verifies, from a guess of the verdict; for spans of 1. */
  readonly overlap?: boolean
  readonly signal: AbortSignal
}

export function createFeatureDrafter(parts: FeatureDrafterParts): Drafter {
  const { part, shape, depth, cost, past = Number.POSITIVE_INFINITY, overlap = false, signal } = parts
  const { hidden, span } = part.sizes
  const session = part.openSession?.() ?? createDraftSession({ ...part, signal })
  /** The target's features that the session has not seen, by position. */
  const features = new Map<number, Float32Array>()
  let known = 0
  /** The next position whose row it gets; the text begins for it where the prompt's last `past` rows do. */
  let next: number | undefined
  let begin = 0
  /** What was drafted last, its nodes as the session knows them. */
  let last: PickedTree | undefined
  /** The tokens that are guessed to be accepted, and what was drafted below them; then what of that is the next draft. */
  let guess: { readonly line: readonly number[]; readonly below: ScoredTree } | undefined
  let ready: PickedTree | undefined
  let text: readonly number[] = []
  const rate = createRate()
  const learn = (data: Float32Array, row: number) =>
    void features.set(known++, data.slice(row * hidden, (row + 1) * hidden))

  /** The text's rows up to the pending token's, those that are new. */
  function newRows(): TextRows {
    const [from, end] = [next!, text.length - 1]
    next = end
    const rows = Array.from({ length: end - from }, (_, i) => features.get(from + i)!)
    for (const position of features.keys()) if (position < end) features.delete(position)
    return { tokens: text.slice(from + 1, end + 1), features: concatenate(rows, Float32Array) }
  }

  async function propose({ tokens, room }: DraftState): Promise<Draft> {
    text = tokens
    const end = tokens.length - 1
    if (next === undefined) next = begin = Math.max(0, end - past)
    if (end - begin < span) return { tree: emptyTree }
    if (ready) return proposed(ready, room)
    const grown = await session.grow({ rows: newRows(), shape, depth: Math.min(depth, room.depth) })
    return grown ? proposed(withAll(grown), room) : { tree: emptyTree }
  }

  function proposed(grown: PickedTree, room: Room): Draft {
    const { from, ...tree } = likeliestNodes(grown, sizeOf(grown, room))
    last = { ...tree, from: from.map((node) => grown.from[node]!) }
    return { tree, grades: gradesOf(tree) }
  }

  function sizeOf({ scores }: ScoredTree, room: Room): number {
    if (!cost) return room.nodes
    const worths = scores.map(Math.exp).sort((a, b) => b - a)
    const price = (size: number) => cost(1 + size) - 1
    const limits = { rate: rate.value(), funds: Number.POSITIVE_INFINITY }
    return bestSize(worths.slice(0, room.nodes), price, limits).size
  }

  async function ahead(tree: CandidateTree, nodes: readonly number[]): Promise<void> {
    const { scores, from } = last!
    const line = likeliestLine(
      tree,
      nodes.map((node) => scores[node]!),
    )
    const task = { rows: newRows(), shape, depth: depth + 1, line: line.map((node) => from[nodes[node]!]!) }
    const below = await session.grow(task)
    guess = below && { line: line.map((node) => tree.tokens[node]!), below }
  }

  /** @param committed tokens: those of the guessed line and one more, if the guess was right */
  function settle(committed: readonly number[]): void {
    const { line, below } = guess ?? { line: [], below: undefined }
    const isRight = below && committed.length === line.length + 1 && line.every((id, i) => committed[i] === id)
    ready = isRight ? draftBelow(below, committed.at(-1)!) : undefined
    guess = undefined
  }

  return {
    wantHidden: ["final"],
    read(_, pass) {
      const { data, rows } = pass.hidden.get("final")!
      for (let row = 0; row < rows; row++) learn(data, row)
    },
    propose,
    ...(overlap && span === 1 ? { ahead } : {}),
    observe({ tree, committed, hidden, kept }) {
      settle(committed)
      const { data } = hidden.get("final")!
      for (const row of kept) learn(data, row)
      if (cost) rate.observe(committed.length, cost(1 + tree.tokens.length))
    },
    dispose: () => session.dispose(),
  }
}

const withAll = (tree: ScoredTree): PickedTree => ({ ...tree, from: tree.tokens.map((_, node) => node) })

/** Tenths of the probability that the drafter gives each node below its parent. */
const gradesOf = ({ parents, scores }: ScoredTree): number[] =>
  scores.map((score, node) => Math.min(9, Math.floor(10 * Math.exp(score - (scores[parents[node]!] ?? 0)))))
