/** A source during one run: how often it was right, and whether it is worth asking now. */

import { depthsOf } from "../candidate-tree.ts"
import type { Draft, DraftedRound } from "../speculate.ts"
import { draftDepth } from "../verification.ts"
import { createAcceptance } from "./acceptance.ts"
import { type DraftSource, type Market, planDraft } from "./draft-source.ts"
import { createFollowedDrafts } from "./followed-drafts.ts"
import type { JudgedDraft } from "./merge-drafts.ts"

export interface SourceRecord {
  readonly source: DraftSource
  /** How many tokens to ask for; 0: not now. `gain` is what the drafts of others promise. */
  plan(most: number, market: Market, gain: number): number
  /** Takes a draft in, to be judged and followed. */
  judge(draft: Draft): JudgedDraft
  /** Whether one more token pays after one of this grade. */
  goesOn(grade: number, count: number, market: Market): boolean
  /** Cost of drafting since the last round. */
  takeSpent(): number
  observe(round: DraftedRound, cost: number): void
}

/** Share of the time that may go into trying a source again which does not pay. */
const probing = 0.01

export function createSourceRecord(source: DraftSource): SourceRecord {
  const acceptance = createAcceptance(source.expected, source.trust)
  const followed = createFollowedDrafts(acceptance)
  const costOf = (drafted: number, unread: number) => source.cost?.(drafted, unread) ?? 0
  let reach = 1 // chance that the line drafted so far in this round is accepted
  let spent = 0
  let idle = 0 // cost of all rounds since it was last asked
  let unread = 0
  return {
    source,
    plan(most, market, gain) {
      reach = 1
      if (!source.cost) return most
      const plan = planDraft(acceptance.overall(), most, market, (drafted) => costOf(drafted, 1))
      if (plan.size > 0) return plan.gain > gain ? plan.size : 0
      const probe = costOf(1, unread) + market.cost(2) - 1
      return most > 0 && probe <= Math.min(probing * idle, market.funds) ? 1 : 0
    },
    judge({ tree, predicted, grades = depthsOf(tree) }) {
      spent += costOf(draftDepth(tree), unread)
      ;[idle, unread] = [0, 0]
      followed.add({ tree, grades })
      const chances = grades.map((grade) => acceptance.chance(grade))
      return { tree, chances, ...(predicted ? { predicted } : {}) }
    },
    goesOn(grade, count, { cost, rate }) {
      reach *= acceptance.chance(grade)
      const more = costOf(count + 1, 0) - costOf(count, 0)
      return reach * acceptance.overall() > rate * (cost(2 + count) - cost(1 + count) + more)
    },
    takeSpent() {
      const taken = spent
      spent = 0
      return taken
    },
    observe(round, cost) {
      followed.read(round.committed)
      unread += round.committed.length
      idle += cost
      source.drafter.observe?.(round)
    },
  }
}
