/** Drafters combined, in worlds without a model: what is drafted, what it costs, and who is told what. */
import { describe, expect, test } from "vitest"
import type { KvCache } from "../../runtime/kv-cache.ts"
import { type CandidateTree, chainOf, checkTree, childrenOf } from "../candidate-tree.ts"
import type { DraftedRound, DraftState } from "../speculate.ts"
import { createTokenHistory } from "../token-history.ts"
import { combineDrafters } from "./combine-drafters.ts"
import type { DraftSource } from "./draft-source.ts"

const cost = (rows: number) => 1 + 0.2 * (rows - 1)
const room = { nodes: 16, depth: 8 }

/** A text that is known in advance stands for the target. */
async function decode(text: readonly number[], sources: readonly DraftSource[], price = cost) {
  const drafter = combineDrafters(sources, price)
  const tokens = [text[0]!]
  const trees: CandidateTree[] = []
  let spent = 0
  while (tokens.length < text.length) {
    const history = createTokenHistory(tokens)
    const state: DraftState = { tokens, history, cache: {} as KvCache, room, goesOn: () => true }
    const { tree } = await drafter.propose(state)
    checkTree(tree, 1000)
    const path: number[] = []
    for (let node = -1; ; ) {
      const child = childrenOf(tree)[node + 1]!.find((one) => tree.tokens[one] === text[tokens.length + path.length])
      if (child === undefined) break
      path.push(child)
      node = child
    }
    const committed = text.slice(tokens.length, tokens.length + path.length + 1)
    const nodes = tree.tokens.map((_, node) => node)
    const verdict = { path, next: committed.at(-1)! }
    drafter.observe!({ tree, nodes, verdict, committed } as unknown as DraftedRound)
    tokens.push(...committed)
    trees.push(tree)
    spent += price(1 + tree.tokens.length)
  }
  expect(tokens.slice(0, text.length)).toEqual(text)
  return { trees, spent, speedup: (text.length - 1) / spent }
}

/** Numbers without a pattern that a drafter here would find. */
const text = (length: number) => Array.from({ length }, (_, i) => (i * i * 31 + i * 7) % 997)

/** Drafts the known text, each token right with this chance, by a fixed series of coins. */
function oracle(name: string, known: readonly number[], right: (position: number) => number): DraftSource {
  let seed = 11
  const coin = () => {
    seed = (seed * 1103515245 + 12345) % 2 ** 31
    return seed / 2 ** 31
  }
  return {
    name,
    expected: () => 0.6,
    drafter: {
      async propose({ tokens, room: { depth } }) {
        const next = known.slice(tokens.length, tokens.length + depth)
        return { tree: chainOf(next.map((token, i) => (coin() < right(tokens.length + i) ? token : 998))) }
      },
    },
  }
}

const drafted = (trees: readonly CandidateTree[]) => trees.reduce((sum, { tokens }) => sum + tokens.length, 0)

describe("worlds", () => {
  test("never accepted: the rows spent stay under 2 % of the passes' cost, and end", async () => {
    const known = text(600)
    const { trees, spent } = await decode(known, [oracle("liar", known, () => 0)])
    expect(spent / (known.length - 1)).toBeLessThan(1.02)
    expect(drafted(trees)).toBeGreaterThan(0) // it was given a chance
    expect(drafted(trees.slice(100))).toBe(0)
  })

  test("several liars cost no more than one each", async () => {
    const known = text(900)
    const liars = ["a", "b", "c"].map((name) => oracle(name, known, () => 0))
    const { spent } = await decode(known, liars)
    expect(spent / (known.length - 1)).toBeLessThan(1.02)
  })

  test("constant: as long as it pays, and close to the best length in hindsight", async () => {
    const known = text(800)
    const { speedup } = await decode(known, [oracle("good", known, () => 0.8)])
    // The best length for 0.8 and a row at 0.2 is 4: (1 - 0.8^5) / 0.2 / 1.8.
    expect(speedup).toBeGreaterThan(0.93 * 1.8676)
  })

  test("too poor for its rows: plain decoding", async () => {
    const known = text(800)
    const { trees, speedup } = await decode(known, [oracle("poor", known, () => 0.1)])
    expect(speedup).toBeGreaterThan(0.97)
    expect(drafted(trees.slice(200)) / (trees.length - 200)).toBeLessThan(0.15)
  })

  test("two regimes: off in the bad one, on again in the good one, without a row spent on trying", async () => {
    const known = text(1200)
    const isGood = (position: number) => position < 400 || position >= 800
    const { trees } = await decode(known, [oracle("moody", known, (at) => (isGood(at) ? 0.95 : 0))])
    // Rounds of the bad regime are plain ones, a token each.
    const idle = trees.filter(({ tokens }) => tokens.length === 0).length
    expect(idle).toBeGreaterThan(330)
    expect(idle).toBeLessThan(460)
    expect(drafted(trees.slice(-20))).toBeGreaterThan(80)
  })

  test("a drafter that is right where the other is wrong: together better than either", async () => {
    const known = text(1000)
    const odd = (at: number) => Math.floor(at / 50) % 2 === 1
    const one = () => oracle("one", known, (at) => (odd(at) ? 0.9 : 0.05))
    const other = () => oracle("other", known, (at) => (odd(at) ? 0.05 : 0.9))
    const [alone, alone2] = [await decode(known, [one()]), await decode(known, [other()])]
    const both = await decode(known, [one(), other()])
    expect(both.speedup).toBeGreaterThan(1.15 * Math.max(alone.speedup, alone2.speedup))
  })

  test("where rows cost as much as passes, nothing is verified", async () => {
    const known = text(200)
    const { trees } = await decode(known, [oracle("good", known, () => 0.9)], (rows) => rows)
    expect(drafted(trees)).toBe(0)
  })
})

describe("a drafter that costs", () => {
  const costly = (known: readonly number[], share: number, right: number) => {
    let asked = 0
    const source = oracle("model", known, () => right)
    const propose: typeof source.drafter.propose = async (state) => {
      const draft = await source.drafter.propose(state)
      asked += draft.tree.tokens.length
      return draft
    }
    const made: DraftSource = {
      ...source,
      drafter: { propose },
      expected: () => 0.75,
      cost: (count, unread) => share * (cost(Math.max(1, unread)) + count - 1),
    }
    return { made, asked: () => asked }
  }

  test("is asked while it pays", async () => {
    const known = text(500)
    const { made, asked } = costly(known, 0.1, 0.9)
    expect((await decode(known, [made])).speedup).toBeGreaterThan(1.5)
    expect(asked()).toBeGreaterThan(300)
  })

  test("is dropped when it never is right, and tried again for a hundredth of the time at most", async () => {
    const known = text(2000)
    const { made, asked } = costly(known, 0.1, 0)
    const { spent } = await decode(known, [made])
    expect((spent + 0.1 * asked()) / (known.length - 1)).toBeLessThan(1.02)
    expect(asked()).toBeGreaterThan(4)
  })

  test("is never asked when it costs as much as the target", async () => {
    const known = text(300)
    const { made, asked } = costly(known, 1, 0.9)
    await decode(known, [made])
    expect(asked()).toBeLessThan(3)
  })

  test("rests while a free one promises more", async () => {
    const known = text(500)
    const { made, asked } = costly(known, 0.1, 0.9)
    await decode(known, [made, oracle("free", known, () => 0.97)])
    expect(asked()).toBeLessThan(100)
  })
})

describe("what each drafter is told", () => {
  const state = (tokens: number[]): DraftState => ({
    tokens,
    history: createTokenHistory(tokens),
    cache: {} as KvCache,
    room,
    goesOn: () => true,
  })
  const fixed = (name: string, tree: CandidateTree, rounds: DraftedRound[]): DraftSource => ({
    name,
    expected: () => 0.9,
    drafter: { propose: async () => ({ tree }), observe: (round) => rounds.push(round) },
  })

  test("the whole round, with each node's index in its own draft or -1", async () => {
    const [a, b]: [DraftedRound[], DraftedRound[]] = [[], []]
    const sources = [fixed("a", chainOf([5, 6]), a), fixed("b", { tokens: [9, 5, 6, 7], parents: [-1, -1, 1, 1] }, b)]
    const drafter = combineDrafters(sources, () => 1) // rows for nothing: all are taken
    const { tree, decision } = await drafter.propose(state([1]))
    expect(tree).toEqual({ tokens: [5, 6, 9, 7], parents: [-1, 0, -1, 0] })
    expect(decision).toEqual({ from: ["a", "b"], why: "worth-its-rows" })
    // The loop cut the last node away.
    const verdict = { path: [0, 1], next: 3 }
    const cut = { tree: { tokens: [5, 6, 9], parents: [-1, 0, -1] }, nodes: [0, 1, 2] }
    drafter.observe!({ ...cut, verdict, committed: [5, 6, 3] } as unknown as DraftedRound)
    expect(a[0]!.nodes).toEqual([0, 1, -1])
    expect(b[0]!.nodes).toEqual([1, 2, 0])
    expect([a[0]!.verdict, a[0]!.tree]).toEqual([verdict, cut.tree])
  })

  test("reasons: nothing drafted, not worth its rows", async () => {
    const nothing = combineDrafters([fixed("a", chainOf([]), [])], cost)
    expect((await nothing.propose(state([1]))).decision).toEqual({ from: [], why: "nothing-drafted" })
    const dear = combineDrafters([fixed("a", chainOf([4]), [])], (rows) => rows)
    expect((await dear.propose(state([1]))).decision).toEqual({ from: [], why: "not-worth-its-rows" })
  })

  test("never more than the room", async () => {
    const wide = { tokens: Array.from({ length: 60 }, (_, i) => i), parents: Array(60).fill(-1) }
    const drafter = combineDrafters([fixed("a", wide, []), fixed("b", chainOf([70, 71, 72]), [])], () => 1)
    const { tree } = await drafter.propose({ ...state([1]), room: { nodes: 7, depth: 2 } })
    expect(tree.tokens.length).toBeLessThanOrEqual(7)
  })
})
