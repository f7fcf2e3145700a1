/** The drafters there are for a run, each with what is believed of it at first. A new one is one more entry here. */
import { lookupSource, predictionSource } from "../../decoding/combine/copying-sources.ts"
import type { DraftSource } from "../../decoding/combine/draft-source.ts"
import { draftCostBySize } from "../../decoding/drafters/draft-cost.ts"
import { createModelDrafter } from "../../decoding/drafters/model-drafter.ts"
import type { DraftPart } from "../../decoding/features/draft-part.ts"
import { createFeatureDrafter } from "../../decoding/features/feature-drafter.ts"
import type { Context, Prompt } from "../../decoding/method.ts"

export function sourcesFor(context: Context, { tokens, read }: Prompt): DraftSource[] {
  const { models, prediction, part } = context
  // A layer over features wants to see every pass; a prompt that was read before would have to be read again for it.
  const seesAll = read === undefined && models.target.abilities.has("hidden-states")
  return [
    ...(prediction ? [predictionSource(prediction, tokens.length)] : []),
    lookupSource(matches),
    ...(models.draft ? [modelSource(context)] : []),
    ...(part && seesAll ? [featureSource(context, part as DraftPart)] : []),
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

/** The layer that comes with SmolLM2, as `eagle` has it, in small trees: each place ahead costs a pass of it. */
function featureSource({ signal, partCost = usualPartCost }: Context, part: DraftPart): DraftSource {
  const drafter = createFeatureDrafter({ part, shape: smallBeam, depth: 6, past: 64, signal })
  return {
    name: "eagle",
    drafter,
    // As sure as it says it is, a little less where it is sure.
    expected: (grade) => (Number.isNaN(grade) ? 0.55 : 0.05 + 0.09 * grade),
    // Half of its lines end at each place, for want of a likely guess: so the first place is most of the cost.
    ...(partCost > 0
      ? { cost: (depth, unread) => partCost * (2 - 2 * 0.5 ** depth + Math.max(0, unread - 1) / 16) }
      : {}),
    trust: 40,
    branches: 4,
  }
}

/** A pass of it in passes of the target, before both were timed. */
const usualPartCost = 0.12
const smallBeam = { width: 3, least: 0.2 }

/** Ten grades: the draft model's own probability. */
const gradeOfConfidence = (confidence: number): number => Math.min(9, Math.floor(10 * confidence))
