/** The pass that verifies a draft: how large it may be, its rows, and the laws that come out of it. */
import { blockSize } from "../models/builder.ts"
import type { KvCache } from "../runtime/kv-cache.ts"
import type { ForwardPass, Matrix, Want } from "../runtime/pass.ts"
import { type CandidateTree, depthsOf, isChain, pathTo, type Room, rowsOf } from "./candidate-tree.ts"
import type { Law } from "./law.ts"
import type { Sampler } from "./sampler.ts"
import type { TokenHistory } from "./token-history.ts"

export interface Bounds {
  /** Cached positions. */
  readonly past: number
  /** The target's longest sequence. */
  readonly context: number
  /** Tokens that may still be committed. */
  readonly left: number
}

/**
 * What a draft may hold beside the pending token's row. The pass ends in the block of 128 in which it begins, or its
 * bits would differ; and each round commits one token more than it accepts.
 */
export function roomForDraft(wanted: Room, { past, context, left }: Bounds): Room {
  const rows = Math.min(blockSize - (past % blockSize), context - past)
  const nodes = Math.max(0, Math.min(wanted.nodes, rows - 1))
  const depth = Math.max(0, Math.min(wanted.depth, nodes, left - 1))
  return depth === 0 ? { nodes: 0, depth: 0 } : { nodes, depth }
}

export const draftDepth = (tree: CandidateTree): number =>
  depthsOf(tree).reduce((most, depth) => Math.max(most, depth), 0)

export function verificationPass(
  tree: CandidateTree,
  pending: number,
  cache: KvCache,
  hidden: Want["hidden"] = [],
): ForwardPass {
  const { tokens, positions, parents } = rowsOf(tree, pending, cache.length)
  return {
    input: { tokens },
    cache,
    ...(isChain(tree) ? {} : { positions, mask: { parents } }),
    want: { logits: "all", hidden },
  }
}

/** The target's law after each node, history and all; each is computed once, when first asked for. */
export function lawsBelow(
  tree: CandidateTree,
  { data, columns }: Matrix,
  { sampler, history }: { readonly sampler: Sampler; readonly history: TokenHistory },
): (node: number) => Law {
  const known = new Map<number, Law>()
  return (node) => {
    const before = known.get(node)
    if (before) return before
    const committed = history.length
    for (const above of pathTo(tree, node)) history.push(tree.tokens[above]!)
    const law = sampler.law(data.subarray((node + 1) * columns, (node + 2) * columns), history)
    history.rewind(committed)
    known.set(node, law)
    return law
  }
}
