/** Speculates with one small layer that continues the target's features several tokens at a time. */
import { openDraftPart } from "../../decoding/features/draft-part.ts"
import { type FeatureOptions, speculateFeatures } from "../../decoding/features/speculate-features.ts"
import type { TreeSpec } from "../../decoding/features/tree-shape.ts"
import type { Method } from "../../decoding/method.ts"
import { falconTree } from "./falcon-tree.ts"

export const falcon: Method = {
  name: "falcon",
  summary: "A trained layer drafts several tokens a pass from the target's features.",
  paper: {
    title:
      "Falcon: Faster and Parallel Inference of Large Language Models through Enhanced Semi-Autoregressive Drafting and Custom-Designed Decoding Tree",
    authors: "Gao, Xie, Xiang, Ji",
    year: 2024,
    arxiv: "2412.12639",
    venue: "AAAI 2025",
  },
  promise: () => "lossless",
  needs: { target: ["causal-cache", "tree-mask", "hidden-states"] },
  options: {
    tree: {
      type: "string",
      default: "custom",
      choices: ["custom", "dynamic", "chain"],
      description:
        "custom: a fixed tree made for two tokens a pass; dynamic: grown where the drafter is sure; chain: one line",
    },
    depth: { type: "integer", default: 6, low: 1, high: 32, description: "longest line of a draft in tokens" },
    width: { type: "integer", default: 4, low: 1, high: 32, description: "lines of a dynamic tree that grow on" },
    nodes: { type: "integer", default: 31, low: 1, high: 127, description: "most tokens that are verified at once" },
    size: {
      type: "string",
      default: "cost",
      choices: ["cost", "fixed"],
      description: "cost: verify the nodes that pay for their rows; fixed: all of them",
    },
  },
  trained: true,
  part: { recipe: "falcon", open: openDraftPart },
  run: (prompt, context) => speculateFeatures(prompt, context, shapeOf(context.options as Options)),
}

/** Lines that are less likely end: a pass below them would hardly ever be used. */
const least = 0.05

function shapeOf({ tree, width }: Options): TreeSpec {
  if (tree === "custom") return falconTree
  return tree === "chain" ? { width: 1, least: 0 } : { width, least }
}

interface Options extends FeatureOptions {
  readonly tree: string
  readonly width: number
}
