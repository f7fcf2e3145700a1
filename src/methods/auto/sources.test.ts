/** The drafters of auto against texts made to mislead them: what that costs at most. */
import { expect, test } from "vitest"
import { integerFrom, seeded } from "../../../test/support/tiny-model.ts"
import { combineDrafters } from "../../decoding/combine/combine-drafters.ts"
import { draftCostBySize } from "../../decoding/drafters/draft-cost.ts"
import type { Context } from "../../decoding/method.ts"
import type { DraftedRound, DraftState } from "../../decoding/speculate.ts"
import { createTokenHistory } from "../../decoding/token-history.ts"
import type { KvCache } from "../../runtime/kv-cache.ts"
import { sourcesFor } from "./sources.ts"

const cost = (rows: number) => 1 + 0.2 * (rows - 1)

/**
 * A target that never says what was drafted; where nothing was, something from a small vocabulary, so that there always
 * is a match to copy from. Returns the cost of a token, in plain passes.
 */
async function costAgainst(next: (drafted: readonly number[]) => number, length: number): Promise<number> {
  const drafter = combineDrafters(sourcesFor({ models: {}, cost } as unknown as Context), cost)
  const tokens = [1, 2, 3, 1, 2, 3]
  let spent = 0
  for (let i = 0; i < length; i++) {
    const state: DraftState = {
      tokens,
      history: createTokenHistory(tokens),
      cache: {} as KvCache,
      room: { nodes: 24, depth: 16 },
      goesOn: () => true,
    }
    const { tree } = await drafter.propose(state)
    const roots = tree.tokens.filter((_, node) => tree.parents[node] === -1)
    const token = next(roots)
    expect(roots).not.toContain(token)
    const nodes = tree.tokens.map((_, node) => node)
    const verdict = { path: [], next: token }
    drafter.observe!({ tree, nodes, verdict, committed: [token] } as unknown as DraftedRound)
    tokens.push(token)
    spent += cost(1 + tree.tokens.length)
  }
  return spent / length
}

test.each([2, 3, 7, 50])("an adversary with %i tokens costs less than a fiftieth of the passes", async (vocabulary) => {
  const random = seeded(vocabulary)
  const hostile = (drafted: readonly number[]) => {
    for (;;) {
      const token = integerFrom(random, 1, vocabulary)
      if (!drafted.includes(token)) return token
    }
  }
  expect(await costAgainst(hostile, 800)).toBeLessThan(1.02)
})

test("a draft model's cost by size: 30 layers of 576 beside 32 of 2048", () => {
  const small = { layers: 30, hidden: 576, intermediate: 1536, vocabulary: 49152 }
  const large = { layers: 32, hidden: 2048, intermediate: 8192, vocabulary: 49152 }
  expect(draftCostBySize(large, large)).toBeGreaterThan(1)
  expect(draftCostBySize(large, small)).toBeGreaterThan(0.05)
  expect(draftCostBySize(large, small)).toBeLessThan(0.15)
})
