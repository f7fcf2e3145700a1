/** Hidden Transfer: states of a middle layer become pseudo states of the tokens to come, and the later layers refine them. */

import type { Room } from "../../decoding/candidate-tree.ts"
import { bestSize, createFunds, createRate } from "../../decoding/combine/tree-size.ts"
import { type DraftBudget, fixedBudget } from "../../decoding/draft-budget.ts"
import type { Context, Method, OptionValues } from "../../decoding/method.ts"
import { speculate } from "../../decoding/speculate.ts"
import { createTransferDrafter } from "./transfer-drafter.ts"
import { openTransferPart, type TransferPart } from "./transfer-part.ts"

export const hiddenTransfer: Method = {
  name: "hidden-transfer",
  summary: "Trained maps turn a middle layer's state into states of coming tokens, which the later layers refine.",
  paper: {
    title: "Parallel Decoding via Hidden Transfer for Lossless Large Language Model Acceleration",
    authors: "Wu et al.",
    year: 2024,
    arxiv: "2404.12022",
  },
  promise: () => "lossless",
  needs: {
    target: ["causal-cache", "tree-mask", "any-mask", "explicit-positions", "hidden-states", "layer-spans"],
  },
  options: {
    form: {
      type: "string",
      default: "lazy",
      choices: ["lazy", "fused"],
      description: "where pseudo rows run: in a small pass of their own, or beside every row that is verified",
    },
    nodes: {
      type: "integer",
      default: 15,
      low: 1,
      high: 127,
      description: "most tokens in a draft, branches included",
    },
    depth: { type: "integer", default: 16, low: 1, high: 127, description: "longest draft; the trained steps at most" },
    tree: {
      type: "string",
      default: "sparse",
      choices: ["sparse", "chain"],
      description: "sparse: the guesses most likely to come true together; chain: each step's best, in one line",
    },
    policy: {
      type: "string",
      default: "fixed",
      choices: ["fixed", "cost"],
      description: "fixed: drafts of `nodes` tokens; cost: as many as pay by what rows cost here",
    },
  },
  trained: true,
  part: { recipe: "hidden-transfer", open: openTransferPart },
  run(prompt, context) {
    const part = context.part as TransferPart // what `open` gave
    const { form, nodes, depth, tree, policy } = context.options as Options
    const { budget, size } = policy === "cost" ? byCost(context, part) : byNumber({ nodes, depth })
    const { target } = context.models
    const drafter = createTransferDrafter({
      target,
      part,
      form,
      ranks: tree === "chain" ? 1 : Number.POSITIVE_INFINITY,
      size,
      signal: context.signal,
    })
    return speculate(prompt, context, { drafter, budget })
  },
}

interface Options extends OptionValues {
  readonly form: "lazy" | "fused"
  readonly nodes: number
  readonly depth: number
  readonly tree: "sparse" | "chain"
  readonly policy: "fixed" | "cost"
}

/** How much may be drafted, and how much of a tree is, given what its nodes are worth. */
interface Sizes {
  readonly budget: DraftBudget
  size(worths: readonly number[]): number
}

const byNumber = ({ depth, nodes }: Room): Sizes => ({
  budget: fixedBudget(depth, nodes),
  size: (worths) => worths.length,
})

/**
 * As many nodes as pay for their rows, and no pseudo rows while what drafts have gained does not pay for them. These are
 * counted as the lazy form's pass.
 */
function byCost({ cost, options, models }: Context, part: TransferPart): Sizes {
  const { depth, nodes } = options as Options
  const { layers } = models.target.config
  const drafting = (cost(part.steps) * (layers - part.stops[0]!.layer)) / layers
  const rate = createRate()
  const funds = createFunds(drafting + cost(2)) // at least one draft is tried
  let asked = false
  return {
    budget: {
      next() {
        asked = funds.value() >= drafting + cost(2) - 1
        return asked ? { depth, nodes } : { depth: 0, nodes: 0 }
      },
      observe({ drafted, accepted }) {
        const spent = cost(1 + drafted) + (asked ? drafting : 0)
        rate.observe(accepted + 1, spent)
        funds.observe(accepted + 1, spent)
      },
    },
    size: (worths) =>
      bestSize(worths, (size) => cost(1 + size) - 1, { rate: rate.value(), funds: funds.value() - drafting }).size,
  }
}
