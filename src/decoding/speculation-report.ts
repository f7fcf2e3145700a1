/** How speculation went, counted from the steps of a run. */
import type { Step } from "./step.ts"

export interface SpeculationReport {
  /** Verification passes, those without a draft included. */
  readonly rounds: number
  /** Tokens drafted and verified; of a tree, all its nodes. */
  readonly drafted: number
  /** Drafted tokens that were committed. */
  readonly accepted: number
  /** Tokens committed by a verification, the target's own included: 1 is plain decoding. */
  readonly meanAcceptedLength: number
  /** histogram[i]: rounds in which i drafted tokens were committed. */
  readonly histogram: readonly number[]
}

export interface SpeculationTally {
  add(step: Step): void
  /** undefined when nothing was verified. */
  report(): SpeculationReport | undefined
}

export function createSpeculationTally(): SpeculationTally {
  let [rounds, drafted, accepted, committed] = [0, 0, 0, 0]
  const histogram: number[] = []
  return {
    add(step) {
      if (step.type === "draft-proposed") drafted += step.tree.tokens.length
      if (step.type !== "draft-verified") return
      rounds++
      accepted += step.accepted
      committed += step.accepted + (step.recovered || step.bonus ? 1 : 0)
      while (histogram.length <= step.accepted) histogram.push(0)
      histogram[step.accepted]!++
    },
    report: () =>
      rounds === 0 ? undefined : { rounds, drafted, accepted, meanAcceptedLength: committed / rounds, histogram },
  }
}
