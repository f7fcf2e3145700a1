/** Dovetail: a deeper feature drafter, on a device of its own, for a target that verifies small trees elsewhere. */
import { fixedBudget } from "../../decoding/draft-budget.ts"
import { type DraftPart, openDraftPart } from "../../decoding/features/draft-part.ts"
import { createFeatureDrafter } from "../../decoding/features/feature-drafter.ts"
import { beamShape } from "../../decoding/features/tree-shape.ts"
import type { Method, OptionValues } from "../../decoding/method.ts"
import { speculate } from "../../decoding/speculate.ts"

export const dovetail: Method = {
  name: "dovetail",
  summary: "A drafter of several layers, on a device of its own, drafts small trees from the target's features.",
  paper: {
    title: "Dovetail: A CPU/GPU Heterogeneous Speculative Decoding for LLM inference",
    authors: "Zhang et al.",
    year: 2024,
    arxiv: "2412.18934",
    venue: "EMNLP 2025",
  },
  promise: () => "lossless",
  needs: { target: ["causal-cache", "tree-mask", "hidden-states"] },
  options: {
    nodes: {
      type: "integer",
      default: 15,
      low: 1,
      high: 127,
      description: "most tokens that are verified at once (the paper: 15 on a server, 6 on a laptop)",
    },
    depth: { type: "integer", default: 5, low: 1, high: 32, description: "longest line of a draft in tokens" },
    width: { type: "integer", default: 10, low: 1, high: 32, description: "lines that grow on from level to level" },
    size: {
      type: "string",
      default: "cost",
      choices: ["cost", "fixed"],
      description: "cost: verify the nodes that pay for their rows on the target's device; fixed: all of them",
    },
  },
  trained: true,
  part: { recipe: "dovetail", open: openDraftPart },
  run(prompt, context) {
    const { nodes, depth, width, size } = context.options as Options
    const drafter = createFeatureDrafter({
      part: context.part as DraftPart,
      shape: () => beamShape({ width, least: 0 }),
      depth,
      ...(size === "cost" ? { cost: context.cost } : {}),
      signal: context.signal,
    })
    return speculate(prompt, context, { drafter, budget: fixedBudget(depth, nodes) })
  },
}

interface Options extends OptionValues {
  readonly nodes: number
  readonly depth: number
  readonly width: number
  readonly size: string
}
