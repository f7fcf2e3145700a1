/** Drafting while the target verifies: what is guessed, what is taken of it, and which rows the drafter's passes see. */
import { beforeEach, describe, expect, test } from "vitest"
import type { Verdict } from "../accept.ts"
import { emptyTree } from "../candidate-tree.ts"
import type { Drafter, DraftState } from "../speculate.ts"
import { draftBelow, likeliestLine } from "./draft-ahead.ts"
import type { DraftPart, DraftRows } from "./draft-part.ts"
import { createFeatureDrafter } from "./feature-drafter.ts"

const grown = {
  //     0
  //   1   2
  //   3   4 5     6 (a root beside it)
  tokens: [10, 11, 12, 13, 14, 15, 16],
  parents: [-1, 0, 0, 1, 2, 2, -1],
  scores: [-0.1, -0.9, -0.4, -1, -2, -1.5, -3],
}

test("the likeliest line goes down to a leaf, also past a likelier node elsewhere", () => {
  expect(likeliestLine(grown, grown.scores)).toEqual([0, 2, 5])
  expect(likeliestLine(emptyTree, [])).toEqual([])
})

test("what hangs below a first token becomes a draft of its own", () => {
  expect(draftBelow(grown, 10)).toEqual({
    tokens: [11, 12, 13, 14, 15],
    parents: [-1, -1, 0, 1, 1],
    scores: [-0.8, -0.3, -0.9, -1.9, -1.4].map((score) => expect.closeTo(score, 9)),
    from: [1, 2, 3, 4, 5],
  })
  expect([16, 11, 99].map((token) => draftBelow(grown, token))).toEqual([undefined, undefined, undefined])
})

/** A text in which every token says the next one. */
const next = (token: number) => (3 * token + 1) % 50

describe("a drafter that is always right", () => {
  const passes: { tokens: number[]; positions: number[] }[] = []
  beforeEach(() => void passes.splice(0))

  /** Keys are positions: so a row can tell whose it sees. */
  const part: DraftPart = {
    sizes: { hidden: 1, span: 1, kvHeads: 1, headSize: 1 } as DraftPart["sizes"],
    async run(cache, { tokens, positions, sees, picked, top }: DraftRows) {
      for (const [row, position] of positions.entries()) {
        const cached = [...cache.keys].filter((_, i) => sees(row, i, true))
        const own = [...positions].filter((_, i) => sees(row, i, false))
        expect([...cached, ...own].sort((a, b) => a - b)).toEqual(Array.from({ length: position + 1 }, (_, i) => i))
      }
      passes.push({ tokens: [...tokens], positions: [...positions] })
      cache.append(Float32Array.from(positions), Float32Array.from(positions))
      return picked.map((row) => {
        const right = next(tokens[row]!)
        const ids = [right, (right + 7) % 50].slice(0, top)
        return { predicted: Float32Array.of(right), guesses: { ids, logprobs: [-0.1, -2.5] } }
      })
    },
    dispose: async () => {},
  }
  const open = (overlap: boolean): Drafter =>
    createFeatureDrafter({
      ...{ part, depth: 3, overlap, signal: new AbortController().signal },
      shape: { width: 2, least: 0 },
    })
  const hidden = (rows: number) =>
    new Map([["final", { data: new Float32Array(rows), rows, columns: 1 }]]) as unknown as Parameters<
      NonNullable<Drafter["read"]>
    >[1]["hidden"]
  const room = { nodes: 3, depth: 3 }

  async function round(drafter: Drafter, text: number[], wrong = false) {
    const before = passes.length
    const { tree } = await drafter.propose({ tokens: text, room } as unknown as DraftState)
    const drafting = passes.length - before
    await drafter.ahead?.(
      tree,
      tree.tokens.map((_, i) => i),
    )
    const path = likeliestLine(
      tree,
      tree.tokens.map((_, i) => -i),
    )
    const line = path.map((node) => tree.tokens[node]!)
    const committed = [...line, wrong ? 49 : next(line.at(-1)!)]
    const kept = [0, ...path.map((node) => node + 1)]
    const verdict: Verdict = { path, next: committed.at(-1)! }
    const logits = { data: new Float32Array(0), rows: 0, columns: 0 }
    drafter.observe!({ tree, nodes: [], verdict, committed, logits, hidden: hidden(tree.tokens.length + 1), kept })
    text.push(...committed)
    return { tree: { tokens: tree.tokens, parents: tree.parents }, drafting, line }
  }

  test("its next draft is there when it is asked for, and is the one drafted anew", async () => {
    const [waiting, along] = [open(false), open(true)]
    const texts = [waiting, along].map(() => [1, 4, 13, 40, 21])
    for (const drafter of [waiting, along]) drafter.read!(0, { hidden: hidden(4) })
    for (let i = 0; i < 6; i++) {
      const anew = await round(waiting, texts[0]!)
      const found = await round(along, texts[1]!)
      expect(found.tree).toEqual(anew.tree)
      expect(anew.line).toHaveLength(3)
      expect([anew.drafting, found.drafting]).toEqual([3, i === 0 ? 3 : 0])
    }
    expect(texts[1]).toEqual(texts[0])
  })

  test("after a wrong guess it drafts anew", async () => {
    const along = open(true)
    along.read!(0, { hidden: hidden(4) })
    const text = [1, 4, 13, 40, 21]
    const drafting = []
    for (const wrong of [false, true, false, false]) drafting.push((await round(along, text, wrong)).drafting)
    expect(drafting).toEqual([3, 0, 3, 0])
  })

  test("overlap is off unless it is asked for", () => expect(open(false).ahead).toBeUndefined())
})
