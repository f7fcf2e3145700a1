/** Speculates with the target's own checkpoint, held in a cheaper format. */

import { createDraftLength, draftLengthOptions } from "../../decoding/draft-length.ts"
import { createModelDrafter } from "../../decoding/drafters/model-drafter.ts"
import type { Method, OptionValues } from "../../decoding/method.ts"
import { speculate } from "../../decoding/speculate.ts"
import { type WeightFormat, weightFormats } from "../../models/formats.ts"

export const quantisedSelf: Method = {
  name: "quantised-self",
  summary: "The target's own weights in a cheaper format draft, the target verifies.",
  paper: {
    title: "QSpec: Speculative Decoding with Complementary Quantization Schemes",
    authors: "Zhao et al.",
    year: 2024,
    arxiv: "2410.11305",
  },
  promise: () => "lossless",
  needs: { target: ["causal-cache"], draft: ["causal-cache"] },
  ownDraft: ({ weights }) => weights as WeightFormat, // one of the choices below
  options: {
    weights: {
      type: "string",
      default: "q4",
      choices: weightFormats,
      description: "format of the drafting copy; it has to be cheaper than the target's to gain anything",
    },
    ...draftLengthOptions({ policy: "heuristic", cost: 0.8 }),
  },
  trained: false,
  run(prompt, context) {
    const { draftLength, policy, threshold, cost } = context.options as Options
    const budget = createDraftLength(policy, { most: draftLength, threshold, cost })
    const { target, draft } = context.models
    const drafter = createModelDrafter({
      draft: draft!, // the engine opens it, since `ownDraft` says how
      context,
      isSampled: false,
      budget,
      vocabulary: target.config.vocabulary,
    })
    return speculate(prompt, context, { drafter, budget })
  },
}

interface Options extends OptionValues {
  readonly draftLength: number
  readonly policy: string
  readonly threshold: number
  readonly cost: number
}
