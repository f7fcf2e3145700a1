/** What is drafted while the target still verifies: from the guess that the draft's likeliest line is accepted whole. Pure. */
import type { CandidateTree } from "../candidate-tree.ts"
import type { PickedTree, ScoredTree } from "./grow.ts"

/** Nodes of the likeliest line, from below the pending token to its end. @param scores of the nodes */
export function likeliestLine({ parents }: CandidateTree, scores: readonly number[]): number[] {
  const line: number[] = []
  for (;;) {
    const above = line.at(-1) ?? -1
    const next = parents.flatMap((parent, node) => (parent === above ? [node] : []))
    if (next.length === 0) return line
    line.push(next.reduce((best, node) => (scores[node]! > scores[best]! ? node : best)))
  }
}

/** What hangs below a first token, as a draft of its own; undefined when it is not there, or nothing hangs below. */
export function draftBelow({ tokens, parents, scores }: ScoredTree, first: number): PickedTree | undefined {
  const root = parents.findIndex((parent, node) => parent === -1 && tokens[node] === first)
  if (root < 0) return undefined
  const place = new Map([[root, -1]])
  for (const [node, parent] of parents.entries())
    if (node !== root && place.has(parent)) place.set(node, place.size - 1)
  const kept = [...place.keys()].slice(1)
  if (kept.length === 0) return undefined
  return {
    tokens: kept.map((node) => tokens[node]!),
    parents: kept.map((node) => place.get(parents[node]!)!),
    scores: kept.map((node) => scores[node]! - scores[root]!),
    from: kept,
  }
}
