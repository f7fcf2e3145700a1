/** How long a copied draft gets: as long as the tokens that agreed before it earn, by what such drafts earned so far. */
import type { RowCost } from "../runtime/cost-estimate.ts"
import { gradeOfMatch } from "./drafters/lookup-drafter.ts"

export interface MatchLength {
  /** Tokens to copy after `agreed` tokens that agree, at most `most`; 0 when none pays. */
  best(agreed: number, most: number): number
  /** Of a draft after `agreed` tokens that agree: its length, and how much of it was accepted. */
  observe(agreed: number, drafted: number, accepted: number): void
}

/** Chance that one more token agrees after so many that did, before anything is seen. */
export type Expectation = (agreed: number) => number

/** Tries that an expectation is worth. */
const trust = 4
/** Weight of evidence after each further try: about the last fifty count. */
const memory = 0.98

/**
 * One for each run. Tokens that agree are sorted by how many did before them, so each accepted token of a draft counts
 * one grade up, and a long match is told from a lucky one.
 */
export function createMatchLength(expected: Expectation, cost: RowCost): MatchLength {
  const grades = new Map<number, { accepted: number; tried: number }>()
  const at = (agreed: number) => {
    const grade = gradeOfMatch(agreed)
    const known = grades.get(grade) ?? { accepted: trust * expected(agreed), tried: trust }
    grades.set(grade, known)
    return known
  }
  return {
    best(agreed, most) {
      const chance = (drafted: number) => {
        const { accepted, tried } = at(agreed + drafted)
        return accepted / tried
      }
      return paidLength(chance, most, cost)
    },
    observe(agreed, drafted, accepted) {
      for (let i = 0; i < Math.min(drafted, accepted + 1); i++) {
        const grade = at(agreed + i)
        grade.accepted = memory * grade.accepted + (i < accepted ? 1 : 0)
        grade.tried = memory * grade.tried + 1
      }
    },
  }
}

/**
 * The length from 0 to `most` with the most tokens for its cost, the shorter one on a tie.
 * @param chance that drafted token i is accepted when those before it were
 */
export function paidLength(chance: (i: number) => number, most: number, cost: RowCost): number {
  let best = { length: 0, worth: 1 / cost(1) }
  for (let length = 1, tokens = 1, reach = 1; length <= most; length++) {
    reach *= chance(length - 1)
    tokens += reach
    const worth = tokens / cost(length + 1)
    if (worth > best.worth) best = { length, worth }
  }
  return best.length
}
