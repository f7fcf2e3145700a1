/** Speculates with one small layer that continues the target's own features, token by token. */
import { openDraftPart } from "../../decoding/features/draft-part.ts"
import { type FeatureOptions, speculateFeatures } from "../../decoding/features/speculate-features.ts"
import { eagleTree, type TreeSpec } from "../../decoding/features/tree-shape.ts"
import type { Method } from "../../decoding/method.ts"

export const eagle: Method = {
  name: "eagle",
  summary: "A trained layer drafts from the target's features, in a tree that follows its confidence.",
  paper: {
    title: "EAGLE-2: Faster Inference of Language Models with Dynamic Draft Trees",
    authors: "Li, Wei, Zhang, Zhang",
    year: 2024,
    arxiv: "2406.16858",
  },
  promise: () => "lossless",
  needs: { target: ["causal-cache", "tree-mask", "hidden-states"] },
  options: {
    tree: {
      type: "string",
      default: "dynamic",
      choices: ["dynamic", "static", "chain"],
      description: "dynamic: grown where the drafter is sure (EAGLE-2); static: EAGLE-1's 25 nodes; chain: one line",
    },
    depth: { type: "integer", default: 4, low: 1, high: 32, description: "longest line of a draft in tokens" },
    width: { type: "integer", default: 3, low: 1, high: 32, description: "lines of a dynamic tree that grow on" },
    nodes: { type: "integer", default: 25, low: 1, high: 127, description: "most tokens that are verified at once" },
    least: {
      type: "number",
      default: 0.2,
      low: 0,
      high: 1,
      description: "probability below which a line of a dynamic tree ends",
    },
    size: {
      type: "string",
      default: "cost",
      choices: ["cost", "fixed"],
      description: "cost: verify the nodes that pay for their rows; fixed: all of them",
    },
  },
  trained: true,
  part: { recipe: "eagle", open: openDraftPart },
  run: (prompt, context) => speculateFeatures(prompt, context, shapeOf(context.options as Options)),
}

function shapeOf({ tree, width, least }: Options): TreeSpec {
  if (tree === "static") return eagleTree
  return tree === "chain" ? { width: 1, least: 0 } : { width, least }
}

interface Options extends FeatureOptions {
  readonly tree: string
  readonly width: number
  readonly least: number
}
