/** Speculates with whatever drafts here, as far as it pays by the cost of rows, and not at all where it does not. */
import { combineDrafters } from "../../decoding/combine/combine-drafters.ts"
import { fixedBudget } from "../../decoding/draft-budget.ts"
import { openDraftPart } from "../../decoding/features/draft-part.ts"
import type { Context, Method, OptionValues } from "../../decoding/method.ts"
import { speculate } from "../../decoding/speculate.ts"
import { sourcesFor } from "./sources.ts"

export const auto: Method = {
  name: "auto",
  summary: "Combines the drafters there are into one tree, as large as it pays; plain decoding where none pays.",
  paper: { title: "Forerun", authors: "Forerun", year: 2026 },
  promise: () => "lossless",
  needs: { target: ["causal-cache", "tree-mask"] },
  prediction: "used",
  options: {
    draftLength: { type: "integer", default: 64, low: 1, high: 127, description: "longest line of a draft in tokens" },
    layer: {
      type: "boolean",
      default: false,
      description: "draft with EAGLE's layer too, where one was trained for the target",
    },
    treeSize: { type: "integer", default: 64, low: 1, high: 127, description: "most tokens of a draft" },
    size: {
      type: "string",
      default: "cost",
      choices: ["cost", "fixed"],
      description: "cost: as much of a draft as pays for its rows; fixed: treeSize tokens, as if rows cost nothing",
    },
  },
  trained: false,
  part: { recipe: "eagle", open: openDraftPart, wanted: ({ layer }) => layer === true },
  run(prompt, context) {
    const { draftLength, treeSize, size } = context.options as Options
    const priced: Context = size === "fixed" ? { ...context, cost: free, partCost: 0 } : context
    const drafter = combineDrafters(sourcesFor(priced, prompt), priced.cost)
    return speculate(prompt, context, { drafter, budget: fixedBudget(draftLength, treeSize) })
  },
}

interface Options extends OptionValues {
  readonly draftLength: number
  readonly treeSize: number
  readonly size: string
}

/** A pass of any number of rows costs what one of one row does. */
const free = () => 1
