/** Dovetail: a deeper feature drafter, on a device of its own, for a target that verifies small trees elsewhere. */
import { openDraftPart } from "../../decoding/features/draft-part.ts"
import { type FeatureOptions, speculateFeatures } from "../../decoding/features/speculate-features.ts"
import type { Method } from "../../decoding/method.ts"

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
    overlap: {
      type: "boolean",
      default: false,
      description:
        "an extension, not the paper's: draft on while the target verifies, from the guess that all is accepted",
    },
  },
  trained: true,
  part: { recipe: "dovetail", open: openDraftPart },
  run(prompt, context) {
    const { width } = context.options as Options
    return speculateFeatures(prompt, context, { width, least: 0 })
  },
}

interface Options extends FeatureOptions {
  readonly width: number
}
