/** SpecDec++: a small model drafts until a head on its hidden states finds a refusal likely. */
import { ForerunError } from "../../base/errors.ts"
import { ratio, sampleAndMatch } from "../../decoding/accept.ts"
import { createModelDrafter } from "../../decoding/drafters/model-drafter.ts"
import { hasSmallModel, openSmallModel } from "../../decoding/drafters/small-model.ts"
import type { Method, OptionValues } from "../../decoding/method.ts"
import type { OpenedPart, PartContext } from "../../decoding/method-part.ts"
import { speculate } from "../../decoding/speculate.ts"
import type { ModelRunner } from "../../runtime/pass.ts"
import { type AcceptanceHead, createAcceptanceHead } from "./acceptance-head.ts"
import type { HeadRow } from "./labels.ts"
import { survivalBudget } from "./stop-policy.ts"

export const specdecPlusPlus: Method = {
  name: "specdec-plus-plus",
  summary: "A small model drafts until a trained head finds a refusal likely; the target verifies.",
  paper: {
    title: "SpecDec++: Boosting Speculative Decoding via Adaptive Candidate Lengths",
    authors: "Huang, Guo, Wang",
    year: 2024,
    arxiv: "2405.19715",
    venue: "COLM 2025",
  },
  promise: () => "lossless",
  needs: { target: ["causal-cache"] },
  options: {
    threshold: {
      type: "number",
      default: 0.7,
      low: 0,
      high: 1,
      description: "drafting ends when a refusal among the drafted tokens is likelier than this",
    },
    shortest: { type: "integer", default: 2, low: 1, high: 127, description: "tokens that are drafted in any case" },
    draftLength: { type: "integer", default: 20, low: 1, high: 127, description: "longest draft in tokens" },
    drafts: {
      type: "string",
      default: "likeliest",
      choices: ["likeliest", "sampled"],
      description: "likeliest: for a seed, the tokens of plain decoding; sampled: the same law, accepted more often",
    },
  },
  trained: true,
  part: { recipe: "specdec-plus-plus", open },
  run(prompt, context) {
    const { threshold, shortest, draftLength, drafts } = context.options as Options
    const { head, row, draft: own } = context.part as SpecdecPart
    const draft = draftFor(head, context.models.draft ?? own)
    const isSampled = drafts === "sampled" && !context.sampler.greedy
    const budget = survivalBudget(head, { threshold, shortest, longest: draftLength, row })
    const { vocabulary } = context.models.target.config
    const drafter = createModelDrafter({ draft, context, isSampled, budget, vocabulary })
    return speculate(prompt, context, { drafter, budget, accept: isSampled ? ratio : sampleAndMatch })
  },
}

interface Options extends OptionValues {
  readonly threshold: number
  readonly shortest: number
  readonly draftLength: number
  readonly drafts: string
}

export interface SpecdecPart extends OpenedPart {
  readonly head: AcceptanceHead
  /** The draft model that comes with the head; without one the caller's is needed. */
  readonly draft?: ModelRunner
  /** How much more refusals weighed in the head's training: the odds that it says are so many times too low. */
  readonly rejectWeight: number
  readonly row: HeadRow
}

async function open(context: PartContext): Promise<SpecdecPart> {
  const { depth, rejectWeight = 1, row } = context.record.recipe
  const head = createAcceptanceHead(context.tensors, Number(depth))
  const judged = { head, rejectWeight: Number(rejectWeight), row: row === "drafts" ? row : "reads" } as const
  if (!hasSmallModel(context)) return { ...judged, dispose: async () => {} }
  const small = await openSmallModel(context)
  return { ...judged, draft: small.runner, dispose: small.dispose }
}

/** @throws E_DRAFT without a draft model, or when the head was trained on another one */
function draftFor(head: AcceptanceHead, draft: ModelRunner | undefined): ModelRunner {
  if (!draft)
    throw new ForerunError("E_DRAFT", "these weights of specdec-plus-plus go with a draft model, and none was loaded", {
      hint: "load the one that the head was trained on: --draft <model>",
    })
  if (draft.config.hidden === head.width) return draft
  throw new ForerunError(
    "E_DRAFT",
    `the acceptance head judges hidden states of ${head.width} numbers, the draft model's have ${draft.config.hidden}`,
    { hint: "a head belongs to the draft model that it was trained on" },
  )
}
