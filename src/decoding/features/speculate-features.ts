/** The loop of the methods that draft with a small layer over the target's features: they differ in their trees only. */
import { fixedBudget } from "../draft-budget.ts"
import type { Completion, Context, OptionValues, Prompt } from "../method.ts"
import { speculate } from "../speculate.ts"
import type { Step } from "../step.ts"
import type { DraftPart } from "./draft-part.ts"
import { createFeatureDrafter } from "./feature-drafter.ts"
import type { TreeSpec } from "./tree-shape.ts"

/** What they all take. */
export interface FeatureOptions extends OptionValues {
  readonly depth: number
  readonly nodes: number
  /** "cost": as many nodes as pay for their rows; "fixed": all. */
  readonly size: string
  /** Whether the next draft begins while this one is verified. */
  readonly overlap?: boolean
}

export function speculateFeatures(prompt: Prompt, context: Context, shape: TreeSpec): AsyncGenerator<Step, Completion> {
  const { depth, nodes, size, overlap = false } = context.options as FeatureOptions
  const drafter = createFeatureDrafter({
    part: context.part as DraftPart,
    shape,
    depth,
    ...(size === "cost" ? { cost: context.cost } : {}),
    overlap,
    signal: context.signal,
  })
  return speculate(prompt, context, { drafter, budget: fixedBudget(depth, nodes) })
}
