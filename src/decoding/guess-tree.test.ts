/** The best tree of guesses: six numbers by hand, and every other tree on random ones. */
import { describe, expect, test } from "vitest"
import { checkTree } from "./candidate-tree.ts"
import { treeOfGuesses } from "./guess-tree.ts"

const guesses = [
  { tokens: [10, 11, 12], chances: [0.5, 0.3, 0.1] },
  { tokens: [20, 21], chances: [0.6, 0.2] },
]

describe("treeOfGuesses", () => {
  test("takes the likeliest nodes in order", () => {
    const { tree, worths } = treeOfGuesses(guesses, 5)
    // 10: .5, 10→20: .3, 11: .3 (found later), 11→20: .18, then 12 and 10→21 tie at .1
    expect(tree).toEqual({ tokens: [10, 11, 20, 20, 12], parents: [-1, -1, 0, 1, -1] })
    expect(worths.map((worth) => worth.toFixed(2))).toEqual(["0.50", "0.30", "0.30", "0.18", "0.10"])
  })

  test("gives all there are when more are asked for, and none for none", () => {
    const { tree } = treeOfGuesses(guesses, 100)
    expect(tree.tokens).toHaveLength(3 + 3 * 2)
    expect(treeOfGuesses(guesses, 0).tree.tokens).toEqual([])
    expect(treeOfGuesses([], 9).tree.tokens).toEqual([])
  })

  test("no token without a chance is drafted", () => {
    const none = [{ tokens: [1, 2], chances: [1, 0] }]
    expect(treeOfGuesses(none, 9).tree.tokens).toEqual([1])
  })

  test("no choice of as many nodes has a higher sum", () => {
    for (const seed of [1, 2, 3, 4]) {
      const chance = (depth: number, rank: number) => 0.9 / (1 + rank * 1.3 + ((seed * 7 + depth * 5) % 4))
      const lists = [0, 1, 2].map((depth) => ({
        tokens: [0, 1, 2].map((rank) => 10 * depth + rank),
        chances: [0, 1, 2].map((rank) => chance(depth, rank)),
      }))
      const paths = [0, 1, 2].flatMap((a) => [
        [a],
        ...[0, 1, 2].flatMap((b) => [[a, b], ...[0, 1, 2].map((c) => [a, b, c])]),
      ])
      const all = paths.map((path) => path.reduce((worth, rank, depth) => worth * chance(depth, rank), 1))
      const highest = all.sort((a, b) => b - a)
      for (const most of [1, 4, 9, 20]) {
        const { tree, worths } = treeOfGuesses(lists, most)
        checkTree(tree, 100)
        const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0)
        expect(sum(worths)).toBeCloseTo(sum(highest.slice(0, most)), 12)
      }
    }
  })
})
