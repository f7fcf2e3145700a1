/** Speculates with extra heads on the target's last state, each for a token further ahead; a sparse tree is verified. */
import { sampleAndMatch, typical } from "../../decoding/accept.ts"
import { fixedBudget } from "../../decoding/draft-budget.ts"
import { createRankDrafter, mostNodes } from "../../decoding/drafters/rank-drafter.ts"
import type { Context, Method, OptionValues } from "../../decoding/method.ts"
import { type Drafter, speculate } from "../../decoding/speculate.ts"
import type { Matrix } from "../../runtime/pass.ts"
import { type Heads, openHeads } from "./heads.ts"

export const medusa: Method = {
  name: "medusa",
  summary: "Heads on the target's last state draft a tree of the tokens ahead, the target verifies.",
  paper: {
    title: "Medusa: Simple LLM Inference Acceleration Framework with Multiple Decoding Heads",
    authors: "Cai et al.",
    year: 2024,
    arxiv: "2401.10774",
  },
  promise: ({ accept }) => (accept === "typical" ? "approximate" : "lossless"),
  needs: { target: ["causal-cache", "tree-mask", "hidden-states"] },
  options: {
    nodes: {
      type: "integer",
      default: 0,
      low: 0,
      high: mostNodes,
      description: "tokens in each tree; 0: as many as pay, by the cost of rows and by what comes true",
    },
    tree: {
      type: "string",
      default: "sparse",
      choices: ["sparse", "chain"],
      description: "sparse: the guesses most likely to come true together; chain: each head's best, in one line",
    },
    accept: {
      type: "string",
      default: "exact",
      choices: ["exact", "typical"],
      description: "exact: the target's own law; typical: what is likely enough, faster when sampling and not lossless",
    },
    epsilon: {
      type: "number",
      default: 0.09,
      low: 0,
      high: 1,
      description: "with accept=typical: probability that always suffices",
    },
    delta: {
      type: "number",
      default: 0.3,
      low: 0,
      high: 1,
      description: "with accept=typical: the same for an undecided law, times exp(-entropy)",
    },
  },
  trained: true,
  part: { recipe: "medusa", open: openHeads },
  run(prompt, context) {
    const { nodes, tree, accept, epsilon, delta } = context.options as Options
    return speculate(prompt, context, {
      drafter: createHeadsDrafter(context, { nodes: nodes === 0 ? undefined : nodes, tree }),
      budget: fixedBudget(mostNodes),
      accept: accept === "typical" ? typical(epsilon, delta) : sampleAndMatch,
    })
  },
}

interface Options extends OptionValues {
  readonly nodes: number
  readonly tree: string
  readonly accept: string
  readonly epsilon: number
  readonly delta: number
}

/** Guesses are made from the state of the last row that was kept: the token before the pending one. */
function createHeadsDrafter(context: Context, shape: { nodes: number | undefined; tree: string }): Drafter {
  const heads = context.part as Heads
  const { config } = context.models.target
  let last: Float32Array | undefined
  const rowOf = ({ data, columns }: Matrix, row: number) => data.slice(row * columns, (row + 1) * columns)
  const ranks = createRankDrafter({
    chances: shape.tree === "chain" ? heads.chances.map((ranks) => ranks.slice(0, 1)) : heads.chances,
    cost: context.cost,
    draftCost: shareOf(heads, config),
    nodes: shape.nodes,
    guess: () => heads.guess(last!),
  })
  return {
    wantHidden: ["final"],
    read(_, { hidden }) {
      const states = hidden.get("final")!
      last = rowOf(states, states.rows - 1)
    },
    propose: (state) => ranks.propose(state),
    observe(round) {
      last = rowOf(round.hidden.get("final")!, round.kept.at(-1)!)
      ranks.observe(round)
    },
  }
}

/**
 * What the heads cost beside a plain pass of the target, by bytes of weights read: the target's are taken for a byte
 * each. A number from the sizes alone, so that the same seed has the same steps.
 */
function shareOf(heads: Heads, config: Context["models"]["target"]["config"]): number {
  const { layers, hidden, intermediate, heads: queries, kvHeads, headSize, vocabulary } = config
  const attention = hidden * headSize * (2 * queries + 2 * kvHeads)
  const target = layers * (attention + 3 * hidden * intermediate) + hidden * vocabulary
  return heads.bytes / target
}
