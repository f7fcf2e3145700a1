/** Speculates with the text that the caller expects: an edit costs little more than what it changes. */
import { chainOf, emptyTree } from "../../decoding/candidate-tree.ts"
import { fixedBudget } from "../../decoding/draft-budget.ts"
import { createMatchLength } from "../../decoding/match-length.ts"
import type { Method, OptionValues } from "../../decoding/method.ts"
import { type Drafter, speculate } from "../../decoding/speculate.ts"
import type { RowCost } from "../../runtime/cost-estimate.ts"
import { createFollower } from "./follow.ts"

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
    const drafter = createPredictionDrafter(context.prediction ?? [], prompt.tokens.length, context.cost)
    return speculate(prompt, context, { drafter, budget: fixedBudget(draftLength) })
  },
}

interface Options extends OptionValues {
  readonly draftLength: number
}

/** An expected text is followed more often than not. */
const expected = (agreed: number): number => (agreed === 0 ? 0.5 : agreed / (agreed + 0.5))

/** @param begin index of the answer's first token in the text */
export function createPredictionDrafter(prediction: readonly number[], begin: number, cost: RowCost): Drafter {
  const follower = createFollower(prediction)
  const length = createMatchLength(expected, cost)
  let read = begin
  let agreed = 0
  return {
    async propose({ tokens, room }) {
      follower.read(tokens.slice(read))
      read = tokens.length
      const place = follower.place()
      if (!place) return { tree: emptyTree, predicted: [] }
      agreed = place.agreed
      const count = length.best(agreed, Math.min(room.depth, prediction.length - place.at))
      const drafted = prediction.slice(place.at, place.at + count)
      return { tree: chainOf(drafted), predicted: drafted.map((_, node) => node) }
    },
    observe({ tree, verdict }) {
      length.observe(agreed, tree.tokens.length, verdict.path.length)
    },
  }
}
