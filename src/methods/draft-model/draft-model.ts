/** Speculative decoding with a smaller model as the drafter. */
import { ratio, sampleAndMatch } from "../../decoding/accept.ts"
import { createDraftLength, draftLengthOptions } from "../../decoding/draft-length.ts"
import { createModelDrafter } from "../../decoding/drafters/model-drafter.ts"
import type { Method, OptionValues } from "../../decoding/method.ts"
import { speculate } from "../../decoding/speculate.ts"

export const draftModel: Method = {
  name: "draft-model",
  summary: "A smaller model with the same vocabulary drafts, the target verifies.",
  paper: {
    title: "Fast Inference from Transformers via Speculative Decoding",
    authors: "Leviathan, Kalman, Matias",
    year: 2023,
    arxiv: "2211.17192",
  },
  promise: () => "lossless",
  needs: { target: ["causal-cache"], draft: ["causal-cache"] },
  options: {
    ...draftLengthOptions({ policy: "fixed", cost: 0.2 }),
    drafts: {
      type: "string",
      default: "likeliest",
      choices: ["likeliest", "sampled"],
      description: "likeliest: for a seed, the tokens of plain decoding; sampled: the same law, accepted more often",
    },
  },
  trained: false,
  run(prompt, context) {
    const { draftLength, policy, threshold, cost, drafts } = context.options as Options
    const budget = createDraftLength(policy, { most: draftLength, threshold, cost })
    const isSampled = drafts === "sampled" && !context.sampler.greedy
    const { target, draft } = context.models
    const drafter = createModelDrafter({
      draft: draft!, // the engine refuses to run a method without the models it needs
      context,
      isSampled,
      budget,
      vocabulary: target.config.vocabulary,
    })
    return speculate(prompt, context, { drafter, budget, accept: isSampled ? ratio : sampleAndMatch })
  },
}

interface Options extends OptionValues {
  readonly draftLength: number
  readonly policy: string
  readonly threshold: number
  readonly cost: number
  readonly drafts: string
}
