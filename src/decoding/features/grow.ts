/** Grows a draft level by level, and picks the nodes that are verified. Pure but for the passes of the drafter. */
import type { CandidateTree } from "../candidate-tree.ts"
import type { Guess, TreeShape } from "./tree-shape.ts"

/** What a drafter guesses for one depth, likeliest first. */
export interface Guesses {
  readonly ids: readonly number[]
  readonly logprobs: readonly number[]
}

/** Rows of one pass that belong together: `span` of them, which guess for the `span` depths below a node. */
export interface Block {
  /** One for each of the depths below. */
  readonly guesses: readonly Guesses[]
  /** What the drafter keeps of it to go on: opaque here. */
  readonly state: unknown
}

/** Below a node whose depth is a multiple of the span. */
export interface BlockRequest {
  /** Tokens of the `span` nodes that end there. */
  readonly tokens: readonly number[]
  /** The block that guessed them. */
  readonly parent: Block
}

export interface GrowOptions {
  /** Below the pending token. */
  readonly root: Block
  readonly span: number
  readonly shape: TreeShape
  readonly depth: number
  /** All blocks of a level in one pass; undefined: stop here. */
  run(requests: readonly BlockRequest[]): Promise<readonly Block[] | undefined>
}

export interface ScoredTree extends CandidateTree {
  /** Log-probability of the line down to each node, by the drafter. [nodes] */
  readonly scores: readonly number[]
}

export interface GrownTree extends ScoredTree {
  /** The block that guessed each node. [nodes] */
  readonly guessedBy: readonly Block[]
}

/** A part of another tree. */
export interface PickedTree extends ScoredTree {
  /** Index of each node there. [nodes] */
  readonly from: readonly number[]
}

/** Within a block, guesses for a depth do not depend on the tokens above them in the same block. */
export async function grow({ root, span, shape, depth: most, run }: GrowOptions): Promise<GrownTree> {
  const [tokens, parents, scores]: number[][] = [[], [], []]
  const guessedBy: Block[] = []
  /** The block that guesses below each node; -1: the pending token. */
  const blocks = new Map<number, Block>([[-1, root]])
  let level: readonly Pick<Guess, "node" | "score">[] = [{ node: -1, score: 0 }]
  for (let depth = 1; depth <= most && level.length > 0; depth++) {
    const within = (depth - 1) % span
    if (depth > 1 && within === 0) {
      const requests = level.map(({ node }) => ({
        tokens: lineTo(parents!, node, span).map((above) => tokens![above]!),
        parent: blocks.get(node)!,
      }))
      const found = await run(requests)
      if (!found) break
      for (const [i, { node }] of level.entries()) blocks.set(node, found[i]!)
    }
    const added: Guess[] = []
    for (const { node: parent, score } of level) {
      const block = blocks.get(parent)!
      const { ids, logprobs } = block.guesses[within]!
      for (const rank of shape.ranks(parent)) {
        if (rank >= ids.length) continue
        const node = tokens!.push(ids[rank]!) - 1
        parents!.push(parent)
        scores!.push(score + Math.min(0, logprobs[rank]!)) // rounding may lift a sure guess above 0
        blocks.set(node, block)
        guessedBy.push(block)
        added.push({ node, parent, rank, score: scores![node]! })
      }
    }
    level = shape.goesOn(added)
  }
  return { tokens: tokens!, parents: parents!, scores: scores!, guessedBy }
}

/** The last `count` nodes down to `node`. */
function lineTo(parents: readonly number[], node: number, count: number): number[] {
  const line: number[] = []
  for (let at = node; line.length < count; at = parents[at]!) line.unshift(at)
  return line
}

/**
 * The likeliest nodes, in their order (EAGLE-2 §4.2: re-ranked over all levels). A child is never likelier than its
 * parent, so what is kept is a tree; of equally likely nodes the earlier one stays, so that also holds where they tie.
 */
export function likeliestNodes({ tokens, parents, scores }: ScoredTree, count: number): PickedTree {
  const kept = scores
    .map((_, node) => node)
    .sort((a, b) => scores[b]! - scores[a]! || a - b)
    .slice(0, count)
    .sort((a, b) => a - b)
  const place = new Map<number, number>([[-1, -1], ...kept.map((node, i): [number, number] => [node, i])])
  return {
    tokens: kept.map((node) => tokens[node]!),
    parents: kept.map((node) => place.get(parents[node]!)!),
    scores: kept.map((node) => scores[node]!),
    from: kept,
  }
}
