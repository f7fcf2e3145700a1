/** The drafters there are for a run, each with what is believed of it at first. A new one is one more entry here. */
import type { DraftSource } from "../../decoding/combine/draft-source.ts"
import { draftCostBySize } from "../../decoding/drafters/draft-cost.ts"
import { createLookupDrafter } from "../../decoding/drafters/lookup-drafter.ts"
import { createModelDrafter } from "../../decoding/drafters/model-drafter.ts"
import type { Context } from "../../decoding/method.ts"

export function sourcesFor(context: Context): DraftSource[] {
  return [lookupSource(), ...(context.models.draft ? [modelSource(context)] : [])]
}

/** Matches are told apart up to this length, and one token is one: whether they pay is what the record says. */
const matches = { longest: 32, shortest: 1 }

const lookupSource = (): DraftSource => ({
  name: "prompt-lookup",
  drafter: createLookupDrafter({ ...matches, perMatch: 127, leftmost: false }),
  // As counted on the tuning prompts (README): a quarter after one token, half after two, nine in ten after many.
  expected: (grade) => (grade > 8 ? 0.9 : 1 - 0.75 * grade ** -0.6),
})

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
