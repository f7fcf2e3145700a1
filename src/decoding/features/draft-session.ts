/** A drafter at work on one text: its cache, the passes over the text's rows, and the drafts that grow below them. */
import { cacheWidth, type DrafterSizes } from "../../models/drafter/sizes.ts"
import { concatenate } from "../../tensor/concatenate.ts"
import { firstRow, pieces, seesBlock } from "./blocks.ts"
import { createDraftCache } from "./draft-cache.ts"
import type { DraftPart, PickedRow } from "./draft-part.ts"
import { type Block, type BlockRequest, type GrownTree, grow, type ScoredTree } from "./grow.ts"
import { shapeOf, type TreeSpec } from "./tree-shape.ts"

/** Rows of the text that are new: one for each position, in order. */
export interface TextRows {
  /** The token behind each position. The last one of all is the pending token. [rows] */
  readonly tokens: readonly number[]
  /** The target's feature at each position. [rows, hidden] */
  readonly features: Float32Array
}

export interface DraftTask {
  readonly rows: TextRows
  readonly shape: TreeSpec
  readonly depth: number
  /**
   * Nodes of the tree that was grown last, a line from its top: the draft hangs below it as if it were accepted. For
   * spans of 1. Default: the draft hangs below the text.
   */
  readonly line?: readonly number[]
}

/** Plain data goes in and comes out: it may live in another process. */
export interface DraftSession {
  /** @returns undefined when it was aborted between its passes */
  grow(task: DraftTask): Promise<ScoredTree | undefined>
  dispose(): void
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

export interface SessionParts {
  readonly sizes: DrafterSizes
  readonly run: DraftPart["run"]
  readonly signal?: AbortSignal
}

export function createDraftSession({ sizes, run, signal }: SessionParts): DraftSession {
  const { hidden, span } = sizes
  const cache = createDraftCache(cacheWidth(sizes))
  const text: number[] = []
  /** By position: only the last block's worth and those not fed yet. */
  const features = new Map<number, Float32Array>()
  /** Rows of the text that are cached. */
  let fed = 0
  let last: GrownTree | undefined

  function add({ tokens, features: given }: TextRows): void {
    for (const [i, token] of tokens.entries()) {
      features.set(text.length, given.subarray(i * hidden, (i + 1) * hidden))
      text.push(token)
    }
  }

  /** @returns the block below the pending token */
  async function readText(top: number): Promise<Block | undefined> {
    const end = text.length
    const start = firstRow(fed, end, span)
    cache.rewind(start)
    let picked: readonly PickedRow[] = []
    for (const [from, to] of pieces(start, end, mostRows)) {
      if (signal?.aborted) return undefined
      const rows = to - from
      picked = await run(cache, {
        tokens: Int32Array.from(text.slice(from, to)),
        features: joined(range(rows).map((i) => features.get(from + i)!)),
        positions: Int32Array.from(range(rows), (i) => from + i),
        sees: (row, other, isCached) => isCached || seesBlock(from + row, from + other, { end, span }),
        picked: to < end ? [rows - 1] : range(span).map((i) => rows - span + i),
        top,
      })
      fed = to
    }
    for (const position of features.keys()) if (position < end - span) features.delete(position)
    return blockOf(picked, { above: [], depth: 0 })
  }

  /** The block below a line, whose rows stand on what was predicted above them. */
  async function readLine(line: readonly number[], top: number): Promise<Block | undefined> {
    const { tokens, guessedBy } = last!
    const end = text.length
    cache.rewind(end)
    if (signal?.aborted) return undefined
    const rows = range(line.length)
    const picked = await run(cache, {
      tokens: Int32Array.from(line, (node) => tokens[node]!),
      features: joined(line.map((node) => (guessedBy[node]!.state as BlockState).predicted[0]!)),
      positions: Int32Array.from(rows, (i) => end + i),
      sees: (row, other, isCached) => isCached || other <= row,
      picked: [line.length - 1],
      top,
    })
    return blockOf(picked, { above: rows.map((i) => end + i), depth: line.length })
  }

  /** Rows of a draft, a block for each request. */
  async function runBlocks(requests: readonly BlockRequest[], top: number): Promise<Block[] | undefined> {
    if (signal?.aborted) return undefined
    const [end, first] = [text.length, cache.length]
    const states = requests.map(({ parent }) => parent.state as BlockState)
    const picked = await run(cache, {
      tokens: Int32Array.from(requests.flatMap(({ tokens }) => tokens)),
      features: joined(states.flatMap(({ predicted }) => predicted)),
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

  return {
    async grow({ rows, shape: spec, depth, line }) {
      add(rows)
      const shape = shapeOf(spec)
      if (line && fed < text.length && !(await readText(1))) return undefined
      const root = line ? await readLine(line, shape.width) : await readText(shape.width)
      if (!root) return undefined
      last = await grow({ root, span, shape, depth, run: (requests) => runBlocks(requests, shape.width) })
      cache.rewind(text.length) // what stands on predicted features is used once
      const { tokens, parents, scores } = last
      return { tokens, parents, scores }
    },
    dispose() {},
  }
}

const blockOf = (rows: readonly PickedRow[], place: Omit<BlockState, "predicted">): Block => ({
  guesses: rows.map(({ guesses }) => guesses),
  state: { ...place, predicted: rows.map(({ predicted }) => predicted) } satisfies BlockState,
})

const joined = (rows: readonly Float32Array[]): Float32Array => concatenate(rows, Float32Array)

const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i)
