/** Speculates with copies from prompt and output: no other model, nothing to train. */
import { combineDrafters } from "../../decoding/combine/combine-drafters.ts"
import { lookupSource } from "../../decoding/combine/copying-sources.ts"
import { fixedBudget } from "../../decoding/draft-budget.ts"
import type { Method, OptionValues } from "../../decoding/method.ts"
import { speculate } from "../../decoding/speculate.ts"

export const promptLookup: Method = {
  name: "prompt-lookup",
  summary: "Drafts what followed the last few tokens when they occurred before.",
  paper: { title: "Prompt Lookup Decoding", authors: "Saxena", year: 2023 },
  promise: () => "lossless",
  needs: { target: ["causal-cache"] },
  options: {
    draftLength: { type: "integer", default: 32, low: 1, high: 127, description: "longest draft in tokens" },
    longestMatch: {
      type: "integer",
      default: 16,
      low: 1,
      high: 64,
      description: "longest match looked for, in tokens",
    },
    shortestMatch: {
      type: "integer",
      default: 2,
      low: 1,
      high: 64,
      description: "shortest match that is drafted from",
    },
    perMatch: {
      type: "integer",
      default: 8,
      low: 1,
      high: 127,
      description: "most drafted tokens for each matched token; what they earn decides how many",
    },
    prefer: {
      type: "string",
      default: "latest",
      choices: ["latest", "leftmost"],
      description: "which of equally good matches is copied",
    },
  },
  trained: false,
  run(prompt, context) {
    const { draftLength, longestMatch, shortestMatch, perMatch, prefer } = context.options as Options
    const lookup = {
      longest: Math.max(longestMatch, shortestMatch),
      shortest: shortestMatch,
      perMatch,
      leftmost: prefer === "leftmost",
    }
    const drafter = combineDrafters([lookupSource(lookup)], context.cost)
    return speculate(prompt, context, { drafter, budget: fixedBudget(draftLength) })
  },
}

interface Options extends OptionValues {
  readonly draftLength: number
  readonly longestMatch: number
  readonly shortestMatch: number
  readonly perMatch: number
  readonly prefer: string
}
