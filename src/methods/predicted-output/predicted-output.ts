/** Speculates with the text that the caller expects: an edit costs little more than what it changes. */
import { combineDrafters } from "../../decoding/combine/combine-drafters.ts"
import { predictionSource } from "../../decoding/combine/copying-sources.ts"
import { fixedBudget } from "../../decoding/draft-budget.ts"
import type { Method, OptionValues } from "../../decoding/method.ts"
import { speculate } from "../../decoding/speculate.ts"

export const predictedOutput: Method = {
  name: "predicted-output",
  summary: "Drafts from the text that the caller expects, and finds its way back after each change.",
  paper: { title: "Predicted Outputs", authors: "OpenAI", year: 2024 },
  promise: () => "lossless",
  needs: { target: ["causal-cache"] },
  prediction: "needed",
  options: {
    draftLength: { type: "integer", default: 127, low: 1, high: 127, description: "longest draft in tokens" },
  },
  trained: false,
  run(prompt, context) {
    const { draftLength } = context.options as Options
    const source = predictionSource(context.prediction ?? [], prompt.tokens.length)
    const drafter = combineDrafters([source], context.cost, vouchedFor)
    return speculate(prompt, context, { drafter, budget: fixedBudget(draftLength) })
  },
}

interface Options extends OptionValues {
  readonly draftLength: number
}

/** Plain passes to be lost at first: the caller expects this text, and drafts that pay for an edit are long. */
const vouchedFor = 4
