/** Which guesses a growing draft keeps and where it grows on: a tree fixed in advance, or the likeliest lines. */
import { type RankTree, rankTree } from "../candidate-tree.ts"

/** A node as a shape sees it. */
export interface Guess {
  /** Index among the nodes grown so far. */
  readonly node: number
  /** -1: the pending token. */
  readonly parent: number
  /** 0: the drafter's best guess below its parent. */
  readonly rank: number
  /** Log-probability of the whole line down to it, by the drafter. */
  readonly score: number
}

/** One for each draft. */
export interface TreeShape {
  /** Most guesses that are ever wanted below one node. */
  readonly width: number
  /** Ranks of the guesses that become nodes below `parent`, ascending. */
  ranks(parent: number): readonly number[]
  /** Those of a level's new nodes that get children. */
  goesOn(level: readonly Guess[]): readonly Guess[]
}

/** A shape as plain data, which can go to another process. */
export type TreeSpec = Beam | Pick<RankTree, "parents" | "ranks">

export const shapeOf = (spec: TreeSpec): TreeShape => ("ranks" in spec ? staticShape(spec)() : beamShape(spec))

/** Nodes by parent and rank, parents first. */
export function staticShape({ parents, ranks }: Pick<RankTree, "parents" | "ranks">): () => TreeShape {
  const below = new Map<number, { rank: number; at: number }[]>()
  for (const [at, parent] of parents.entries())
    below.set(parent, [...(below.get(parent) ?? []), { rank: ranks[at]!, at }])
  const width = 1 + ranks.reduce((most, rank) => Math.max(most, rank), 0)
  return () => {
    /** Grown node → its place in the fixed tree. */
    const places = new Map<number, number>([[-1, -1]])
    const children = (node: number) => below.get(places.get(node) ?? -2) ?? []
    return {
      width,
      ranks: (parent) => children(parent).map(({ rank }) => rank),
      goesOn(level) {
        for (const { node, parent, rank } of level) {
          const place = children(parent).find((child) => child.rank === rank)
          if (place) places.set(node, place.at)
        }
        return level.filter(({ node }) => children(node).length > 0)
      },
    }
  }
}

export interface Beam {
  /** Lines that go on from level to level, and guesses below each. */
  readonly width: number
  /** Lines that are less likely end. */
  readonly least: number
}

/** EAGLE-2 (arXiv 2406.16858 §4.1): every level grows below its likeliest nodes. Equal ones: the earlier node. */
export function beamShape({ width, least }: Beam): TreeShape {
  const ranks = Array.from({ length: width }, (_, rank) => rank)
  const floor = Math.log(least)
  return {
    width,
    ranks: () => ranks,
    goesOn: (level) =>
      [...level]
        .filter(({ score }) => score >= floor)
        .sort((a, b) => b.score - a.score || a.node - b.node)
        .slice(0, width)
        .sort((a, b) => a.node - b.node),
  }
}

/** EAGLE-1's tree (arXiv 2401.15077, choices.py): 25 nodes in five levels. */
export const eagleTree: RankTree = rankTree([
  [0],
  [1],
  [2],
  [3],
  [0, 0],
  [0, 1],
  [0, 2],
  [1, 0],
  [1, 1],
  [2, 0],
  [2, 1],
  [3, 0],
  [0, 0, 0],
  [0, 0, 1],
  [0, 0, 2],
  [0, 1, 0],
  [0, 1, 1],
  [0, 2, 0],
  [0, 2, 1],
  [1, 0, 0],
  [0, 0, 0, 0],
  [0, 0, 0, 1],
  [0, 0, 0, 2],
  [0, 0, 0, 0, 0],
  [0, 0, 0, 0, 1],
])
