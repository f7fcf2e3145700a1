/** The best tree of a given size below lists of guesses, one list for each depth. Pure. */

export interface SparseTree {
  /** Each node's parent, -1 at the top. Nodes stand by their worth, the best first, so any beginning is a tree. [nodes] */
  readonly parents: readonly number[]
  /** From 0. [nodes] */
  readonly depths: readonly number[]
  /** Place in the list for its depth. [nodes] */
  readonly ranks: readonly number[]
  /** Probability that it and all above it come true. [nodes] */
  readonly worths: readonly number[]
}

/**
 * Medusa's search (arXiv 2401.10774 §2.3.3): begin with the best guess for the first depth, then always add the
 * neighbour of most worth, which is the next guess beside a node or the best one below it. Worths only fall along both
 * moves, so this is the best tree of its size if depths are independent. Equal worths: the one met first.
 * @param chances that a guess comes true when those above did, by depth and rank; where they rise they are held down
 */
export function sparseTree(chances: readonly (readonly number[])[], most: number): SparseTree {
  const falling = chances.map((ranks) => ranks.map((_, rank) => Math.min(...ranks.slice(0, rank + 1))))
  const tree = { parents: [] as number[], depths: [] as number[], ranks: [] as number[], worths: [] as number[] }
  interface Neighbour {
    readonly parent: number
    readonly depth: number
    readonly rank: number
    readonly above: number
    readonly worth: number
  }
  const neighbours: Neighbour[] = []
  const offer = (parent: number, depth: number, rank: number, above: number) => {
    const chance = falling[depth]?.[rank]
    if (chance !== undefined && chance > 0) neighbours.push({ parent, depth, rank, above, worth: above * chance })
  }
  offer(-1, 0, 0, 1)
  while (tree.parents.length < most && neighbours.length > 0) {
    let best = 0
    for (const [i, { worth }] of neighbours.entries()) if (worth > neighbours[best]!.worth) best = i
    const { parent, depth, rank, above, worth } = neighbours.splice(best, 1)[0]!
    const node = tree.parents.push(parent) - 1
    tree.depths.push(depth)
    tree.ranks.push(rank)
    tree.worths.push(worth)
    offer(parent, depth, rank + 1, above)
    offer(node, depth + 1, 0, worth)
  }
  return tree
}
