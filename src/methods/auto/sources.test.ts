/** The drafters of auto against texts made to mislead them: what that costs at most. */
import { describe, expect, test } from "vitest"
import { integerFrom, seeded } from "../../../test/support/tiny-model.ts"
import { combineDrafters } from "../../decoding/combine/combine-drafters.ts"
import { draftCostBySize } from "../../decoding/drafters/draft-cost.ts"
import type { Context } from "../../decoding/method.ts"
import type { DraftedRound, DraftState } from "../../decoding/speculate.ts"
import { createTokenHistory } from "../../decoding/token-history.ts"
import type { KvCache } from "../../runtime/kv-cache.ts"
import { sourcesFor } from "./sources.ts"

interface Trial {
  readonly length: number
  /** Of each row beyond the first. */
  readonly slope: number
  readonly prediction?: readonly number[]
}

/**
 * A target that never says what was drafted; where nothing was, something from a small vocabulary, so that there always
 * is a match to copy from. Returns plain decoding's passes over what the rows cost.
 */
async function speedAgainst(
  next: (drafted: readonly number[]) => number,
  { length, slope, ...expected }: Trial,
): Promise<number> {
  const cost = (rows: number) => 1 + slope * (rows - 1)
  const drafter = combineDrafters(
    sourcesFor({ models: { target: { abilities: new Set() } }, cost, ...expected } as unknown as Context, {
      tokens: Int32Array.of(1, 2, 3, 1, 2, 3),
    }),
    cost,
  )
  const tokens = [1, 2, 3, 1, 2, 3]
  let spent = 0
  for (let i = 0; i < length; i++) {
    const state: DraftState = {
      tokens,
      history: createTokenHistory(tokens),
      cache: {} as KvCache,
      room: { nodes: 64, depth: 64 },
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
  return length / spent
}

/** Whether a draft is verified is all it looks at, so no record of drafts can tell. */
function hostile(vocabulary: number) {
  const random = seeded(vocabulary)
  return (drafted: readonly number[]) => {
    for (;;) {
      const token = integerFrom(random, 1, vocabulary)
      if (!drafted.includes(token)) return token
    }
  }
}

describe.each([64, 800])("an adversary, %i tokens", (length) => {
  test.each([2, 3, 7, 50])("of %i kinds: never below 0.98 of plain decoding's speed", async (vocabulary) => {
    for (const slope of [0.03, 0.1, 0.2, 0.35]) {
      expect(await speedAgainst(hostile(vocabulary), { length, slope })).toBeGreaterThan(0.98)
      const prediction = Array.from({ length: 300 }, (_, i) => 1 + (i % vocabulary))
      expect(await speedAgainst(hostile(vocabulary), { length, slope, prediction })).toBeGreaterThan(0.98)
    }
  })
})

test("a draft model's cost by size: 30 layers of 576 beside 32 of 2048", () => {
  const small = { layers: 30, hidden: 576, intermediate: 1536, vocabulary: 49152 }
  const large = { layers: 32, hidden: 2048, intermediate: 8192, vocabulary: 49152 }
  expect(draftCostBySize(large, large)).toBeGreaterThan(1)
  expect(draftCostBySize(large, small)).toBeGreaterThan(0.05)
  expect(draftCostBySize(large, small)).toBeLessThan(0.15)
})
