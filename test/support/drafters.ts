/** Drafters for tests: blind, hostile and perfect ones, in any shape of tree; and a method made of one. */
import { childrenOf, depthsOf, pathTo } from "../../src/decoding/candidate-tree.ts"
import { fixedBudget } from "../../src/decoding/draft-budget.ts"
import type { Context, Method } from "../../src/decoding/method.ts"
import { type Drafter, type DraftState, speculate } from "../../src/decoding/speculate.ts"
import { integerFrom, seeded } from "./tiny-model.ts"

/** Parents of the nodes. */
export const shapes: Readonly<Record<string, readonly number[]>> = {
  chain: [-1, 0, 1, 2, 3],
  small: [-1, -1, 0, 0, 1],
  large: Array.from({ length: 64 }, (_, node) => (node < 6 ? -1 : Math.floor((node - 6) / 3))),
}

/** Tokens for the nodes of a shape. */
type Fill = (state: DraftState, parents: readonly number[], context: Context) => Promise<number[]> | number[]

const fills: Readonly<Record<string, () => Fill>> = {
  empty: () => () => [],
  zeros: () => (_, parents) => parents.map(() => 0),
  random: () => {
    const random = seeded(3)
    return (_, parents, { models }) => parents.map(() => integerFrom(random, 0, models.target.config.vocabulary - 1))
  },
  /** The target's own guesses; every second draft is wrong from depth 2 on. */
  perfect: () => {
    let round = 0
    return async (state, parents, context) => {
      const tokens = await bestTokens(state, parents, context)
      const depths = depthsOf({ tokens: parents, parents })
      const isSpoilt = round++ % 2 === 1
      return tokens.map((token, node) => (isSpoilt && depths[node]! > 1 ? (token + 1) % 8 : token))
    }
  },
  /** Everything but what the target would say, at every node. */
  adversarial: () => async (state, parents, context) => {
    const best = await bestTokens(state, parents, context)
    return best.map((token) => (token + 1) % context.models.target.config.vocabulary)
  },
}

/** First child: the target's likeliest token there; later ones: the ids after it. Runs the target on a fork. */
async function bestTokens(state: DraftState, parents: readonly number[], context: Context): Promise<number[]> {
  const { target } = context.models
  const tokens: number[] = []
  const children = childrenOf({ tokens: [...parents], parents })
  for (const [above, nodes] of children.entries()) {
    if (nodes.length === 0 || nodes[0]! >= state.room.nodes) continue
    if (context.signal.aborted) break
    const line = [state.tokens.at(-1)!, ...pathTo({ tokens, parents }, above - 1).map((node) => tokens[node]!)]
    const cache = state.cache.fork()
    const pass = await target
      .forward({ input: { tokens: Int32Array.from(line) }, cache, want: { logits: "last" } })
      .finally(() => cache.dispose())
    const row = pass.logits!.data
    const best = row.indexOf(Math.max(...row))
    for (const [i, node] of nodes.entries()) tokens[node] = (best + i) % target.config.vocabulary
  }
  return tokens
}

export function createTestDrafter(context: Context, fill: string, shape: string): Drafter {
  const tokensFor = fills[fill]!()
  const parents = shapes[shape]!
  return {
    async propose(state) {
      if (context.signal.aborted) return { tree: { tokens: [], parents: [] } }
      const tokens = await tokensFor(state, parents, context)
      const count = Object.keys(tokens).length // beyond the room nothing was computed
      return { tree: { tokens: tokens.slice(0, count), parents: parents.slice(0, count) } }
    },
  }
}

/** A method whose drafts come from a test's drafter. */
export const testMethod: Method = {
  name: "test-speculation",
  summary: "Speculates with a drafter made for tests.",
  paper: { title: "None", authors: "Forerun", year: 2026 },
  promise: () => "lossless",
  needs: { target: ["causal-cache", "tree-mask"] },
  options: {
    fill: { type: "string", default: "perfect", choices: Object.keys(fills), description: "tokens of the drafts" },
    shape: { type: "string", default: "small", choices: Object.keys(shapes), description: "shape of the drafts" },
  },
  trained: false,
  run(prompt, context) {
    const { fill, shape } = context.options as { fill: string; shape: string }
    return speculate(prompt, context, { drafter: createTestDrafter(context, fill, shape), budget: fixedBudget(8, 64) })
  },
}
