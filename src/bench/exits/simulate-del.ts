/** DEL where every exit is right by chance, on its own: what it would choose, and how soon it follows a change. */
import { acceptanceOf, type ExitRecord, emptyRecord, updatedRecord } from "../../methods/del/exit-record.ts"
import { choosePlan, type PlanCosts } from "../../methods/del/plan.ts"

export interface World {
  readonly costs: PlanCosts
  /** What evidence keeps of its weight for each round. */
  readonly omega: number
  readonly random: () => number
  /** Acceptance by exit in a round. */
  readonly at: (round: number) => ReadonlyMap<number, number>
  readonly rounds: number
  /** Leaves out the row of the first mismatch: a known error. */
  readonly isExclusive?: boolean
}

/** Rounds with planned lengths and shadow tokens in each. `exits` are those that the rounds drafted from. */
export function simulateDel({ costs, omega, random, at, rounds, isExclusive = false }: World) {
  const known = [...at(0).keys()]
  const records = new Map<number, ExitRecord>(known.map((exit) => [exit, emptyRecord]))
  const exits: number[] = []
  let [exit, length, tokens, layers] = [known[0]!, 1, 0, 0]
  for (let round = 0; round < rounds; round++) {
    const acceptances = at(round)
    const own = Array.from({ length: length + 1 }, () => random() < acceptances.get(exit)!)
    const wrong = own.findIndex((right, i) => i < length && !right)
    const accepted = wrong < 0 ? length : wrong
    const rows = wrong < 0 ? length + 1 : wrong + (isExclusive ? 0 : 1)
    tokens += accepted + 1
    layers += costs.layers + length * exit
    for (const [one, acceptance] of acceptances) {
      const matches = Array.from({ length: rows }, (_, row) => (one === exit ? own[row]! : random() < acceptance))
      const shadows = matches.map((isMatch) => ({ matches: isMatch, confidence: 0.5 }))
      records.set(one, updatedRecord(records.get(one)!, shadows, omega))
    }
    exits.push(exit)
    ;({ exit, length } = choosePlan(new Map([...records].map(([one, record]) => [one, acceptanceOf(record)])), costs))
  }
  return { exits, records, speedup: (costs.layers * tokens) / layers }
}

/** Rounds from `change` on until one drafts from within `near` layers of an exit; undefined: none does. */
export function roundsUntil(
  exits: readonly (number | undefined)[],
  change: number,
  { best, near }: { readonly best: number; readonly near: number },
): number | undefined {
  const found = exits.slice(change).findIndex((exit) => exit !== undefined && Math.abs(exit - best) <= near)
  return found < 0 ? undefined : found
}
