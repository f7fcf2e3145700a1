/** One tree from several drafts: equal tokens at equal places become one node, and each node's worth is told. Pure. */
import type { CandidateTree } from "../candidate-tree.ts"

export interface JudgedDraft {
  readonly tree: CandidateTree
  /** Chance that each node is accepted when the one above it was. [nodes] */
  readonly chances: readonly number[]
  /** As in the draft. */
  readonly predicted?: readonly number[]
}

export interface MergedDrafts {
  readonly tree: CandidateTree
  /** Probability that each node is accepted: never more than its parent's. [nodes] */
  readonly worths: readonly number[]
  /** For each draft, its own index of each node; -1: not its. [drafts][nodes] */
  readonly own: readonly (readonly number[])[]
}

export function mergeDrafts(drafts: readonly JudgedDraft[]): MergedDrafts {
  const [tokens, parents, chances]: [number[], number[], number[]] = [[], [], []]
  const own = drafts.map((): number[] => [])
  const known = new Map<string, number>()
  for (const [index, { tree, chances: judged }] of drafts.entries()) {
    const merged: number[] = []
    for (const [node, parent] of tree.parents.entries()) {
      const above = parent < 0 ? -1 : merged[parent]!
      const token = tree.tokens[node]!
      const key = `${above} ${token}`
      const at = known.get(key) ?? tokens.length
      if (at === tokens.length) {
        known.set(key, at)
        tokens.push(token)
        parents.push(above)
        chances.push(0)
        for (const nodes of own) nodes.push(-1)
      }
      merged.push(at)
      chances[at] = Math.max(chances[at]!, judged[node]!) // whoever knows more; agreement is not counted twice
      if (own[index]![at] === -1) own[index]![at] = node
    }
  }
  return { tree: { tokens, parents }, worths: worthsOf(parents, chances), own }
}

/** Only one of some siblings can come true: where their chances add up to more than 1, all shrink alike. */
function worthsOf(parents: readonly number[], chances: readonly number[]): number[] {
  const sums = new Map<number, number>()
  for (const [node, parent] of parents.entries()) sums.set(parent, (sums.get(parent) ?? 0) + chances[node]!)
  const worths: number[] = []
  for (const [node, parent] of parents.entries())
    worths.push(((parent < 0 ? 1 : worths[parent]!) * chances[node]!) / Math.max(1, sums.get(parent)!))
  return worths
}

/** Nodes by worth, the best first; a node comes after its parent. */
export const byWorth = ({ worths }: Pick<MergedDrafts, "worths">): number[] =>
  worths.map((_, node) => node).sort((a, b) => worths[b]! - worths[a]! || a - b)

/** The tree of some nodes, their parents among them. */
export function treeOf({ tokens, parents }: CandidateTree, nodes: readonly number[]): CandidateTree {
  const index = new Map([[-1, -1], ...nodes.map((node, i): [number, number] => [node, i])])
  return { tokens: nodes.map((node) => tokens[node]!), parents: nodes.map((node) => index.get(parents[node]!)!) }
}
