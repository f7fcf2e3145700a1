/** The n-grams seen so far, by their first token: of each the last few, the latest first. */
import type { CandidateTree, Room } from "../../decoding/candidate-tree.ts"

export interface GramPool {
  /** Seen again, it is the latest again. */
  add(key: number, gram: readonly number[]): void
  /** What followed `key`, the latest first. */
  after(key: number): readonly (readonly number[])[]
}

/** @param most n-grams kept for each first token */
export function createGramPool(most: number): GramPool {
  const pool = new Map<number, (readonly number[])[]>()
  return {
    add(key, gram) {
      const others = (pool.get(key) ?? []).filter((one) => one.some((token, i) => token !== gram[i]))
      pool.set(key, [gram, ...others].slice(0, most))
    },
    after: (key) => pool.get(key) ?? [],
  }
}

/** All in one tree, beginnings that are alike shared: a rule that looks a token up must find it once. */
export function treeOf(grams: readonly (readonly number[])[], room: Room): CandidateTree {
  const [tokens, parents]: number[][] = [[], []]
  for (const gram of grams) {
    let above = -1
    for (const token of gram.slice(0, room.depth)) {
      let node = tokens!.findIndex((one, i) => one === token && parents![i] === above)
      if (node < 0) {
        if (tokens!.length >= room.nodes) break
        node = tokens!.push(token) - 1
        parents!.push(above)
      }
      above = node
    }
  }
  return { tokens: tokens!, parents: parents! }
}
