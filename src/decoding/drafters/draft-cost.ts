/** What a draft model's pass costs beside the target's, before either was timed: their sizes say it. */
import type { ModelConfig } from "../../models/config.ts"

type Sizes = Pick<ModelConfig, "layers" | "hidden" | "intermediate" | "vocabulary">

/** Weights that a pass of one row reads. */
const weightsOf = ({ layers, hidden, intermediate, vocabulary }: Sizes): number =>
  layers * (4 * hidden * hidden + 3 * hidden * intermediate) + vocabulary * hidden

/** A small pass does not shrink with its weights: the rest is paid for each layer. */
const dearer = 1.3

export const draftCostBySize = (target: Sizes, draft: Sizes): number => (dearer * weightsOf(draft)) / weightsOf(target)
