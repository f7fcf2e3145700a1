/** Tables of a text: what they guess, and what they would save on answers whose rounds can be counted by hand. */
import { expect, test } from "vitest"
import { floorOf, NgramTable } from "./ngram-floor.ts"

const texts = [
  [1, 2, 3, 4],
  [1, 2, 3, 5],
  [9, 2, 6],
]

test("guesses come from the longest context that was seen, the most frequent first", () => {
  const [bigrams, four] = [new NgramTable(2, texts), new NgramTable(4, texts)]
  expect(bigrams.guesses([1, 2])).toEqual([
    [3, expect.closeTo(2 / 3, 9)],
    [6, expect.closeTo(1 / 3, 9)],
  ])
  expect(four.guesses([1, 2])).toEqual([[3, 1]])
  expect(four.guesses([8, 9, 2])).toEqual([[6, 1]])
  expect(four.guesses([7, 2])).toEqual(bigrams.guesses([2])) // backs off to one token
  expect(four.guesses([77])).toEqual([])
})

test("rounds of a line and of a tree", () => {
  const table = new NgramTable(4, texts)
  const answer = { id: 1, source: "t", prompt: [8], answer: [1, 2, 3, 5] }
  // Behind 1: 2 and 3 come true, the line goes on with 4 (seen as often as 5): two accepted and 5, one round of 3 tokens.
  expect(floorOf(table, answer, { nodes: 3, width: 1 })).toEqual({ tokens: 3, rounds: 1 })
  expect(floorOf(table, answer, { nodes: 1, width: 1 })).toEqual({ tokens: 3, rounds: 2 })
  // With both guesses behind 3 the answer ends in the draft: still one round, of its three tokens.
  expect(floorOf(table, answer, { nodes: 4, width: 2 })).toEqual({ tokens: 3, rounds: 1 })
  const strange = { id: 2, source: "t", prompt: [8], answer: [7, 7, 7, 7] }
  expect(floorOf(table, strange, { nodes: 4, width: 2 })).toEqual({ tokens: 3, rounds: 3 })
  expect(floorOf(table, { ...strange, answer: [7] }, { nodes: 4, width: 2 })).toEqual({ tokens: 0, rounds: 0 })
})
