/**
 * Drafts from a list of guesses for each depth, best first: a sparse tree by how often each rank comes true, as large as
 * its rows pay for. Lists depend on the depth only, not on what was guessed above.
 */
import type { RowCost } from "../../runtime/cost-estimate.ts"
import { childrenOf, emptyTree } from "../candidate-tree.ts"
import { createAcceptance } from "../combine/acceptance.ts"
import { bestSize, createFunds, createRate } from "../combine/tree-size.ts"
import { sparseTree } from "../sparse-tree.ts"
import type { Drafter } from "../speculate.ts"

export interface RankDrafterParts {
  /** Chance that a guess comes true when those above did, by depth and rank: as measured beforehand. */
  readonly chances: readonly (readonly number[])[]
  readonly cost: RowCost
  /** Of making the guesses, in passes of the target of one row. */
  readonly draftCost: number
  /** Nodes of every tree; undefined: as many as pay, by their cost and by what came true in this run. */
  readonly nodes?: number | undefined
  /** Token ids by depth and rank, as many as there are chances. */
  guess(): Promise<readonly ArrayLike<number>[]>
}

/** More than any tree that pays on a processor. */
export const mostNodes = 63

/** Plain passes to be lost at first: heads that were trained for the target mostly pay. */
const loan = 2

/** One for each run. Without what sees the target's passes: that is the method's. */
export function createRankDrafter(parts: RankDrafterParts): Required<Pick<Drafter, "propose" | "observe">> {
  const { chances, cost, draftCost, nodes } = parts
  const acceptance = createAcceptance((grade) => expectedOf(chances, grade))
  const rate = createRate()
  const funds = createFunds(loan)
  let proposed: { readonly grades: readonly number[] } | undefined

  /** How much of the tree is verified: what it gains has to pay for the guesses too. */
  function sizeOf(worths: readonly number[]): number {
    if (nodes !== undefined) return Math.min(nodes, worths.length)
    const price = (size: number) => cost(1 + size) - 1 + draftCost
    return bestSize(worths, price, { rate: rate.value(), funds: funds.value() }).size
  }

  return {
    async propose({ room }) {
      proposed = undefined
      const known = chances.map((ranks, depth) => ranks.map((_, rank) => acceptance.chance(gradeOf(depth, rank))))
      const limits = Math.min(room.nodes, nodes ?? mostNodes)
      const tree = sparseTree(nodes === undefined ? known.slice(0, room.depth) : chances.slice(0, room.depth), limits)
      const size = sizeOf(tree.worths)
      if (size === 0) return { tree: emptyTree }
      const lists = await parts.guess()
      const grades = tree.depths.slice(0, size).map((depth, node) => gradeOf(depth, tree.ranks[node]!))
      const tokens = tree.depths.slice(0, size).map((depth, node) => lists[depth]![tree.ranks[node]!]!)
      proposed = { grades }
      return { tree: { tokens, parents: tree.parents.slice(0, size) }, grades }
    },
    observe({ tree, nodes: own, verdict, committed }) {
      const spent = cost(1 + tree.tokens.length) + (proposed ? draftCost : 0)
      rate.observe(committed.length, spent)
      funds.observe(committed.length, spent)
      const accepted = new Set(verdict.path)
      const children = childrenOf(tree)
      for (const above of [-1, ...verdict.path])
        for (const node of children[above + 1]!) {
          const grade = proposed?.grades[own[node] ?? -1]
          if (grade !== undefined) acceptance.observe(grade, accepted.has(node))
        }
    },
  }
}

const width = 64
const gradeOf = (depth: number, rank: number): number => depth * width + rank

/** By NaN, where no grade is known, the first guess's. */
const expectedOf = (chances: RankDrafterParts["chances"], grade: number): number =>
  (Number.isNaN(grade) ? chances[0]?.[0] : chances[Math.floor(grade / width)]?.[grade % width]) ?? 0
