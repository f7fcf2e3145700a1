/** How speculation went, counted from the steps of a run. */
import type { DraftDecision, Step } from "./step.ts"

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
  /** Drafted tokens of the text that the caller expected, by whether they were committed; where a method used one. */
  readonly acceptedPrediction?: number
  readonly rejectedPrediction?: number
  /** Of a method that chooses among drafters: what it chose and why, the most frequent first. */
  readonly decisions?: readonly DecisionCount[]
}

export interface DecisionCount extends DraftDecision {
  readonly rounds: number
  readonly drafted: number
  readonly accepted: number
}

export interface SpeculationTally {
  add(step: Step): void
  /** undefined when nothing was verified. */
  report(): SpeculationReport | undefined
}

export function createSpeculationTally(): SpeculationTally {
  let [rounds, drafted, accepted, committed] = [0, 0, 0, 0]
  const histogram: number[] = []
  const decisions = createDecisionTally()
  let predicted: readonly number[] | undefined // nodes of the round's draft
  let prediction: { drafted: number; accepted: number } | undefined
  return {
    add(step) {
      if (step.type === "draft-proposed") {
        drafted += step.tree.tokens.length
        predicted = step.predicted
      }
      decisions.add(step)
      if (step.type !== "draft-verified") return
      rounds++
      accepted += step.accepted
      committed += step.accepted + (step.recovered || step.bonus ? 1 : 0)
      while (histogram.length <= step.accepted) histogram.push(0)
      histogram[step.accepted]!++
      if (!predicted) return
      prediction ??= { drafted: 0, accepted: 0 }
      prediction.drafted += predicted.length
      prediction.accepted += predicted.filter((node) => step.path.includes(node)).length
    },
    report() {
      if (rounds === 0) return undefined
      const meanAcceptedLength = committed / rounds
      const common = { rounds, drafted, accepted, meanAcceptedLength, histogram, ...decisions.report() }
      if (!prediction) return common
      const rejectedPrediction = prediction.drafted - prediction.accepted
      return { ...common, acceptedPrediction: prediction.accepted, rejectedPrediction }
    },
  }
}

function createDecisionTally() {
  const counts = new Map<string, DecisionCount>()
  let key: string | undefined // of the round that goes on
  return {
    add(step: Step) {
      if (step.type === "draft-proposed") {
        key = step.decision && JSON.stringify(step.decision)
        if (!step.decision) return
        const before = counts.get(key!) ?? { ...step.decision, rounds: 0, drafted: 0, accepted: 0 }
        counts.set(key!, { ...before, rounds: before.rounds + 1, drafted: before.drafted + step.tree.tokens.length })
      } else if (step.type === "draft-verified" && key !== undefined) {
        const before = counts.get(key)!
        counts.set(key, { ...before, accepted: before.accepted + step.accepted })
      }
    },
    report(): Pick<SpeculationReport, "decisions"> {
      return counts.size === 0 ? {} : { decisions: [...counts.values()].sort((a, b) => b.rounds - a.rounds) }
    },
  }
}
