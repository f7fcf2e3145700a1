/** Speculates with copies from prompt and output: no other model, nothing to train. */
import { chainOf } from "../../decoding/candidate-tree.ts"
import { fixedBudget } from "../../decoding/draft-budget.ts"
import { type LookupOptions, lookUp } from "../../decoding/drafters/lookup-drafter.ts"
import { createMatchLength } from "../../decoding/match-length.ts"
import type { Method, OptionValues } from "../../decoding/method.ts"
import { type Drafter, speculate } from "../../decoding/speculate.ts"
import type { RowCost } from "../../runtime/cost-estimate.ts"

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
    const drafter = createPaidLookup(lookup, context.cost)
    return speculate(prompt, context, { drafter, budget: fixedBudget(draftLength) })
  },
}

/** Before anything is seen: two tokens that agree are as good as a coin, ten nearly certain. */
const expected = (agreed: number): number => agreed / (agreed + 1.5)

/** Copies as many tokens as the length of the match has earned so far, at the cost of their rows. */
function createPaidLookup(options: LookupOptions, cost: RowCost): Drafter {
  const length = createMatchLength(expected, cost)
  let match = 0
  return {
    async propose({ tokens, room }) {
      const found = lookUp(tokens, room.depth, options)
      match = found.match
      return { tree: chainOf(found.copied.slice(0, length.best(match, found.copied.length))) }
    },
    observe({ tree, verdict }) {
      length.observe(match, tree.tokens.length, verdict.path.length)
    },
  }
}

interface Options extends OptionValues {
  readonly draftLength: number
  readonly longestMatch: number
  readonly shortestMatch: number
  readonly perMatch: number
  readonly prefer: string
}
