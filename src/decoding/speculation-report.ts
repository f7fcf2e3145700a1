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
  /** Drafted tokens of the text that the caller expected, by whether they were committed; where a method used one. */
  readonly acceptedPrediction?: number
  readonly rejectedPrediction?: number
}

export interface SpeculationTally {
  add(step: Step): void
  /** undefined when nothing was verified. */
  report(): SpeculationReport | undefined
}

export function createSpeculationTally(): SpeculationTally {
  let [rounds, drafted, accepted, committed] = [0, 0, 0, 0]
  const histogram: number[] = []
  let predicted: readonly number[] | undefined // nodes of the round's draft
  let prediction: { drafted: number; accepted: number } | undefined
  return {
    add(step) {
      if (step.type === "draft-proposed") {
        drafted += step.tree.tokens.length
        predicted = step.predicted
      }
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
      const common = { rounds, drafted, accepted, meanAcceptedLength, histogram }
      if (!prediction) return common
      const rejectedPrediction = prediction.drafted - prediction.accepted
      return { ...common, acceptedPrediction: prediction.accepted, rejectedPrediction }
    },
  }
}
