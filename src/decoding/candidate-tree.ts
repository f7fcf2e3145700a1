/** The tree of a draft: tokens that hang below the pending token. A chain is a tree of width one. Plain data. */
import { ForerunError } from "../base/errors.ts"

/**
 * The pending token (committed, but not in the cache yet) is the root and no node: node j is row j + 1 of a
 * verification pass. Siblings are tried in the order of their indices.
 */
export interface CandidateTree {
  /** [nodes] */
  readonly tokens: readonly number[]
  /** Each node's parent, with a smaller index than its own; -1: the pending token. [nodes] */
  readonly parents: readonly number[]
}

/** How much a draft may hold: tokens in all, and tokens in one line. */
export interface Room {
  readonly nodes: number
  readonly depth: number
}

export const emptyTree: CandidateTree = { tokens: [], parents: [] }

export const chainOf = (tokens: readonly number[]): CandidateTree => ({ tokens, parents: tokens.map((_, i) => i - 1) })

export const isChain = ({ parents }: CandidateTree): boolean => parents.every((parent, node) => parent === node - 1)

/** @throws E_INTERNAL on a tree that no verification pass can take: a drafter's fault */
export function checkTree(tree: CandidateTree, vocabulary: number): void {
  const { tokens, parents } = tree
  if (tokens.length !== parents.length) bad(`a parent for each token, found ${tokens.length} and ${parents.length}`)
  for (const [node, parent] of parents.entries()) {
    if (!Number.isInteger(parent) || parent < -1 || parent >= node)
      bad(`parents before their children, node ${node} has ${parent}`)
    const token = tokens[node]!
    if (!Number.isInteger(token) || token < 0 || token >= vocabulary)
      bad(`tokens of the target's vocabulary of ${vocabulary}, node ${node} has ${token}`)
  }
}

function bad(needed: string): never {
  throw new ForerunError("E_INTERNAL", `a draft needs ${needed}`)
}

/** Tokens from below the pending token to each node, itself included: at least 1. [nodes] */
export function depthsOf({ parents }: CandidateTree): number[] {
  const depths: number[] = []
  for (const parent of parents) depths.push(parent < 0 ? 1 : depths[parent]! + 1)
  return depths
}

/** Nodes from below the pending token down to `node`; none for -1. */
export function pathTo({ parents }: CandidateTree, node: number): number[] {
  const path: number[] = []
  for (let at = node; at >= 0; at = parents[at]!) path.unshift(at)
  return path
}

/** Nodes right below the pending token, then below node 0, 1, …: index parent + 1. [nodes + 1] */
export function childrenOf({ parents }: CandidateTree): number[][] {
  const children: number[][] = [[], ...parents.map(() => [])]
  for (const [node, parent] of parents.entries()) children[parent + 1]!.push(node)
  return children
}

/** The way to each leaf, the leaf with the highest index first. */
export function leafPaths(tree: CandidateTree): number[][] {
  const children = childrenOf(tree)
  const leaves = tree.tokens.map((_, node) => node).filter((node) => children[node + 1]!.length === 0)
  return leaves.reverse().map((leaf) => pathTo(tree, leaf))
}

/** Rows of a verification pass: the pending token, then the nodes. [nodes + 1] */
export interface TreeRows {
  readonly tokens: Int32Array
  /** Siblings share a position. */
  readonly positions: Int32Array
  readonly parents: Int32Array
}

/** @param past cached positions, so the pending token's position */
export function rowsOf(tree: CandidateTree, pending: number, past: number): TreeRows {
  return {
    tokens: Int32Array.of(pending, ...tree.tokens),
    positions: Int32Array.of(past, ...depthsOf(tree).map((depth) => past + depth)),
    parents: Int32Array.of(-1, ...tree.parents.map((parent) => parent + 1)),
  }
}

export interface CutTree {
  readonly tree: CandidateTree
  /** Index that each kept node had before. */
  readonly nodes: readonly number[]
}

/** Keeps what fits, in index order, and nothing below a token of `ends`: whoever gets there is done. */
export function cutTree(tree: CandidateTree, room: Room, ends: ReadonlySet<number>): CutTree {
  const depths = depthsOf(tree)
  const nodes: number[] = []
  const newIndex = new Map<number, number>([[-1, -1]])
  const parents: number[] = []
  for (const [node, parent] of tree.parents.entries()) {
    if (nodes.length >= room.nodes) break
    const above = newIndex.get(parent)
    if (above === undefined || depths[node]! > room.depth || (parent >= 0 && ends.has(tree.tokens[parent]!))) continue
    newIndex.set(node, nodes.length)
    nodes.push(node)
    parents.push(above)
  }
  return { tree: { tokens: nodes.map((node) => tree.tokens[node]!), parents }, nodes }
}

/** A tree whose tokens are filled in each round: node j is the `ranks[j]`-th best guess (0: the best) for its depth. */
export interface RankTree {
  readonly parents: readonly number[]
  readonly depths: readonly number[]
  readonly ranks: readonly number[]
}

/**
 * From rank paths, as Medusa writes its trees (medusa/model/utils.py): (0, 2) is the third guess for depth 2 below the
 * best guess for depth 1. Nodes are ordered by length, then rank by rank, so parents come first.
 * @throws E_OPTION when a path's parent is not among the paths, or a path is there twice
 */
export function rankTree(paths: readonly (readonly number[])[]): RankTree {
  const sorted = [...paths].sort((a, b) => {
    if (a.length !== b.length) return a.length - b.length
    const at = a.findIndex((rank, i) => rank !== b[i])
    return at < 0 ? 0 : a[at]! - b[at]!
  })
  const index = new Map<string, number>([["", -1]])
  const parents = sorted.map((path, node) => {
    const parent = index.get(path.slice(0, -1).join())
    if (path.length === 0 || parent === undefined || index.has(path.join()))
      throw new ForerunError("E_OPTION", `a tree needs every path once and its parent too; found (${path.join(", ")})`)
    index.set(path.join(), node)
    return parent
  })
  return { parents, depths: sorted.map(({ length }) => length), ranks: sorted.map((path) => path.at(-1)!) }
}
