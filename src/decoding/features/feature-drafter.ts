/** Drafts from the target's features: feeds the text's rows to a drafter's layer, grows a tree, picks what is verified. */
import { cacheWidth } from "../../models/drafter/sizes.ts"
import type { RowCost } from "../../runtime/cost-estimate.ts"
import { concatenate } from "../../tensor/concatenate.ts"
import { type CandidateTree, emptyTree, type Room } from "../candidate-tree.ts"
import { bestSize, createRate } from "../combine/tree-size.ts"
import type { Draft, Drafter, DraftState } from "../speculate.ts"
import { firstRow, pieces, seesBlock } from "./blocks.ts"
import { draftBelow, likeliestLine } from "./draft-ahead.ts"
import { createDraftCache } from "./draft-cache.ts"
import type { DraftPart, PickedRow } from "./draft-part.ts"
import { type Block, type BlockRequest, type GrownTree, grow, likeliestNodes } from "./grow.ts"
import type { TreeShape } from "./tree-shape.ts"

export interface FeatureDrafterParts {
  readonly part: DraftPart
  /** One for each draft. */
  readonly shape: () => TreeShape
  readonly depth: number
  /** Verify as many of the nodes as pay for their rows; undefined: as many as there is room for. */
  readonly cost?: RowCost
  /** Rows of the prompt that it reads at most, its last ones; default all. */
  readonly past?: number
  /** Draft on while the target verifies, from a guess of the verdict; for spans of 1. */
  readonly overlap?: boolean
  readonly signal: AbortSignal
}

/** Rows of the prompt in one pass of the drafter. */
const mostRows = 128

/** Where a block's rows lie in the cache, behind the text's. */
interface BlockState {
  /** [span], each [hidden] */
  readonly predicted: readonly Float32Array[]
  /** First cached row of each block from the pending token down to this one. */
  readonly above: readonly number[]
  /** Depth of the nodes above it: its rows stand at the positions that end there. */
  readonly depth: number
}

export function createFeatureDrafter(parts: FeatureDrafterParts): Drafter {
  const { part, shape, depth, cost, past = Number.POSITIVE_INFINITY, overlap = false, signal } = parts
  const { hidden, span } = part.sizes
  const cache = createDraftCache(cacheWidth(part.sizes))
  /** The target's features, by position: only the last block's worth and those not fed yet. */
  const features = new Map<number, Float32Array>()
  /** Position at which the text begins for this drafter: all places below are counted from it. */
  let base: number | undefined
  /** Features that are known; rows of the text that are cached. */
  let [known, fed] = [0, 0]
  /** What was drafted last: below which token, and the text then. */
  let last: { readonly grown: GrownTree; readonly text: readonly number[]; readonly end: number } | undefined
  /** The line that is guessed to be accepted, and what was drafted below it; then what of that is the next draft. */
  let guess: { readonly line: readonly number[]; readonly grown: GrownTree } | undefined
  let ready: GrownTree | undefined
  const rate = createRate()
  const learn = (data: Float32Array, row: number) =>
    void features.set(known++, data.slice(row * hidden, (row + 1) * hidden))

  /** Rows of the text up to `end`. @returns the block below the pending token */
  async function readText(tokens: readonly number[], end: number, top: number): Promise<Block | undefined> {
    const start = firstRow(fed, end, span)
    cache.rewind(start)
    let picked: readonly PickedRow[] = []
    for (const [from, to] of pieces(start, end, mostRows)) {
      if (signal.aborted) return undefined
      const rows = to - from
      picked = await part.run(cache, {
        tokens: Int32Array.from(tokens.slice(from + 1, to + 1)),
        features: concatenate(
          range(rows).map((i) => features.get(base! + from + i)!),
          Float32Array,
        ),
        positions: Int32Array.from(range(rows), (i) => from + i),
        sees: (row, other, isCached) => isCached || seesBlock(from + row, from + other, { end, span }),
        picked: to < end ? [rows - 1] : range(span).map((i) => rows - span + i),
        top,
      })
      fed = to
    }
    for (const position of features.keys()) if (position < base! + end - span) features.delete(position)
    return blockOf(picked, { above: [], depth: 0 })
  }

  /** Rows of a draft, a block for each request. */
  async function runBlocks(requests: readonly BlockRequest[], end: number, top: number) {
    if (signal.aborted) return undefined
    const first = cache.length
    const states = requests.map(({ parent }) => parent.state as BlockState)
    const picked = await part.run(cache, {
      tokens: Int32Array.from(requests.flatMap(({ tokens }) => tokens)),
      features: concatenate(
        states.flatMap(({ predicted }) => predicted),
        Float32Array,
      ),
      positions: Int32Array.from(states.flatMap((state) => range(span).map((i) => end + state.depth + i))),
      sees(row, other, isCached) {
        const block = Math.floor(row / span)
        if (!isCached) return Math.floor(other / span) === block
        return other < end || states[block]!.above.some((from) => other >= from && other < from + span)
      },
      picked: range(requests.length * span),
      top,
    })
    return requests.map((_, i) => {
      const { above, depth } = states[i]!
      const rows = picked.slice(i * span, (i + 1) * span)
      return blockOf(rows, { above: [...above, first + i * span], depth: depth + span })
    })
  }

  async function propose({ tokens: whole, room }: DraftState): Promise<Draft> {
    base ??= Math.max(0, whole.length - 1 - past)
    const tokens = base === 0 ? whole : whole.slice(base)
    const end = tokens.length - 1
    const draft = shape()
    if (end < span) return { tree: emptyTree }
    if (ready) return proposed(ready, { tokens, room })
    const root = await readText(tokens, end, draft.width)
    if (!root) return { tree: emptyTree }
    const grown = await grow({
      root,
      span,
      shape: draft,
      depth: Math.min(depth, room.depth),
      run: (requests) => runBlocks(requests, end, draft.width),
    })
    cache.rewind(end) // what stands on predicted features is used once
    return proposed(grown, { tokens, room })
  }

  function proposed(grown: GrownTree, { tokens, room }: Pick<DraftState, "tokens" | "room">): Draft {
    const tree = picked(grown, room)
    last = { grown: tree, text: tokens, end: tokens.length - 1 }
    return { tree, grades: gradesOf(tree) }
  }

  /** The passes: the text's new rows if there are any, the line's, then a level each. */
  async function ahead(tree: CandidateTree, nodes: readonly number[]): Promise<void> {
    const { grown, text, end } = last!
    const scores = nodes.map((node) => grown.scores[node]!)
    const line = likeliestLine(tree, scores).map((node) => nodes[node]!)
    const next = shape()
    if (fed < end && !(await readText(text, end, 1))) return
    cache.rewind(end)
    if (signal.aborted) return
    const rows = range(line.length)
    const found = await part.run(cache, {
      tokens: Int32Array.from(line, (node) => grown.tokens[node]!),
      features: concatenate(
        line.map((node) => (grown.guessedBy[node]!.state as BlockState).predicted[0]!),
        Float32Array,
      ),
      positions: Int32Array.from(rows, (i) => end + i),
      sees: (row, other, isCached) => isCached || other <= row,
      picked: [line.length - 1],
      top: next.width,
    })
    const root = blockOf(found, { above: rows.map((i) => end + i), depth: line.length })
    const run = (requests: readonly BlockRequest[]) => runBlocks(requests, end, next.width)
    const below = await grow({ root, span, shape: next, depth: depth + 1, run })
    guess = { line: line.map((node) => grown.tokens[node]!), grown: below }
  }

  /** @param committed tokens: those of the guessed line and one more, if the guess was right */
  function settle(committed: readonly number[]): void {
    const { line, grown } = guess ?? { line: [], grown: undefined }
    const isRight = grown && committed.length === line.length + 1 && line.every((id, i) => committed[i] === id)
    ready = isRight ? draftBelow(grown, committed.at(-1)!) : undefined
    guess = undefined
  }

  function picked(grown: GrownTree, room: Room): GrownTree {
    if (!cost) return likeliestNodes(grown, room.nodes)
    const worths = grown.scores.map(Math.exp).sort((a, b) => b - a)
    const price = (size: number) => cost(1 + size) - 1
    const limits = { rate: rate.value(), funds: Number.POSITIVE_INFINITY }
    return likeliestNodes(grown, bestSize(worths.slice(0, room.nodes), price, limits).size)
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
  }
}

/** Tenths of the probability that the drafter gives each node below its parent. */
const gradesOf = ({ parents, scores }: GrownTree): number[] =>
  scores.map((score, node) => Math.min(9, Math.floor(10 * Math.exp(score - (scores[parents[node]!] ?? 0)))))

const blockOf = (rows: readonly PickedRow[], place: Omit<BlockState, "predicted">): Block => ({
  guesses: rows.map(({ guesses }) => guesses),
  state: { ...place, predicted: rows.map(({ predicted }) => predicted) } satisfies BlockState,
})

const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i)
