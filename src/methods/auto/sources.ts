/** The drafters there are for a run, each with what is believed of it at first. A new one is one more entry here. */
import { lookupSource, predictionSource } from "../../decoding/combine/copying-sources.ts"
import type { DraftSource } from "../../decoding/combine/draft-source.ts"
import { draftCostBySize } from "../../decoding/drafters/draft-cost.ts"
import { createModelDrafter } from "../../decoding/drafters/model-drafter.ts"
import type { Context } from "../../decoding/method.ts"

/** @param begin index of the answer's first token in the text */
export function sourcesFor(context: Context, begin: number): DraftSource[] {
  const { models, prediction } = context
  return [
    ...(prediction ? [predictionSource(prediction, begin)] : []),
    lookupSource(matches),
    ...(models.draft ? [modelSource(context)] : []),
  ]
}

/** Matches are told apart up to this length, and one token is one: whether they pay is what the record says. */
const matches = { longest: 32, shortest: 1, perMatch: 127, leftmost: false }

function modelSource(context: Context): DraftSource {
  const { cost, models, draftCost } = context
  const { target, draft } = models
  const relative = draftCost ?? draftCostBySize(target.config, draft!.config)
  return {
    name: "draft-model",
    drafter: createModelDrafter({
      draft: draft!,
      context,
      isSampled: false,
      gradeOf: gradeOfConfidence,
      vocabulary: target.config.vocabulary,
    }),
    expected: (grade) => (Number.isNaN(grade) ? 0.75 : 0.1 + 0.085 * grade),
    cost: (drafted, unread) => relative * (cost(Math.max(1, unread)) + drafted - 1),
  }
}

/** Ten grades: the draft model's own probability. */
const gradeOfConfidence = (confidence: number): number => Math.min(9, Math.floor(10 * confidence))
