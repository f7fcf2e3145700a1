/** Follows drafts along the text that came, verified or not: what a draft was worth shows without spending a row on it. */
import { type CandidateTree, childrenOf } from "../candidate-tree.ts"
import type { Acceptance } from "./acceptance.ts"

type Observers = Pick<Acceptance, "observe" | "observePlace">

export interface GradedTree {
  readonly tree: CandidateTree
  /** [nodes] */
  readonly grades: readonly number[]
}

export interface FollowedDrafts {
  add(draft: GradedTree): void
  read(tokens: readonly number[]): void
}

interface Followed extends GradedTree {
  readonly children: readonly (readonly number[])[]
  /** Node that the text has reached, -1: none yet. */
  readonly at: number
}

/** Drafts that are open at once; more would only say the same. */
const mostOpen = 24

/**
 * @param observe told of every drafted token below the text's way, and of places. Drafts overlap and repeat each other,
 * so each token of the text counts once for each grade, by the newest draft, and once as a place.
 */
export function createFollowedDrafts({ observe, observePlace }: Observers): FollowedDrafts {
  let open: readonly Followed[] = [] // newest first
  function next(token: number): void {
    const seen = new Set<number>()
    const newest = open[0]
    if (newest) observePlace(newest.children[newest.at + 1]!.some((node) => newest.tree.tokens[node] === token))
    open = open.flatMap((draft) => {
      const below = draft.children[draft.at + 1]!
      for (const node of below) {
        const grade = draft.grades[node]!
        if (!seen.has(grade)) observe(grade, draft.tree.tokens[node] === token)
      }
      for (const node of below) seen.add(draft.grades[node]!)
      const at = below.find((node) => draft.tree.tokens[node] === token)
      return at === undefined || draft.children[at + 1]!.length === 0 ? [] : [{ ...draft, at }]
    })
  }
  return {
    add({ tree, grades }) {
      if (tree.tokens.length === 0) return
      open = [{ tree, grades, children: childrenOf(tree), at: -1 }, ...open.slice(0, mostOpen - 1)]
    },
    read(tokens) {
      for (const token of tokens) next(token)
    },
  }
}
