/** The tree of a drafter that guesses each depth without knowing the tokens above it: the likeliest nodes. Pure. */
import type { CandidateTree } from "./candidate-tree.ts"

/** What a token some places ahead may be, the likeliest first. */
export interface Guesses {
  readonly tokens: ArrayLike<number>
  readonly chances: ArrayLike<number>
}

export interface GuessTree {
  readonly tree: CandidateTree
  /** Chance that a node and all above it come true, if depths do not depend on each other. Descending. [nodes] */
  readonly worths: readonly number[]
}

interface Candidate {
  readonly parent: number
  readonly depth: number
  readonly rank: number
  /** Of the parent. */
  readonly above: number
  readonly worth: number
}

/**
 * The `most` nodes of highest worth, in that order. A node is worth no more than its parent, nor than its sibling of
 * the rank before, so taking the best of what is open gives the best tree (Medusa's search, gen_results.py, with this
 * round's own chances in the place of average ones).
 * @param guesses by depth
 */
export function treeOfGuesses(guesses: readonly Guesses[], most: number): GuessTree {
  const tokens: number[] = []
  const parents: number[] = []
  const worths: number[] = []
  const open: Candidate[] = []
  const offer = (parent: number, depth: number, rank: number, above: number) => {
    const chance = guesses[depth]?.chances[rank]
    if (chance !== undefined && chance > 0) open.push({ parent, depth, rank, above, worth: above * chance })
  }
  offer(-1, 0, 0, 1)
  while (tokens.length < most && open.length > 0) {
    const [{ parent, depth, rank, above, worth }] = open.splice(bestOf(open), 1) as [Candidate]
    const node = tokens.length
    tokens.push(guesses[depth]!.tokens[rank]!)
    parents.push(parent)
    worths.push(worth)
    offer(parent, depth, rank + 1, above)
    offer(node, depth + 1, 0, worth)
  }
  return { tree: { tokens, parents }, worths }
}

/** The first of the best. */
function bestOf(open: readonly Candidate[]): number {
  let best = 0
  for (let i = 1; i < open.length; i++) if (open[i]!.worth > open[best]!.worth) best = i
  return best
}
