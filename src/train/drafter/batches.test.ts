/** Rows for a feature drafter: what stands beside what, which rows count, which token each should predict. */
import { describe, expect, test } from "vitest"
import { createRandom } from "../../tensor/random.ts"
import { answerWindows } from "../answers.ts"
import type { Data } from "../recipe.ts"
import { drafterBatches, rowsInWindow } from "./batches.ts"

/** Features of one number: position, and a thousand for each window. */
function windowsOf(length: number): Data {
  const answers = [
    { id: "a", source: "", temperature: 0, seed: 0, prompt: [1, 2, 3], answer: [4, 5, 6, 7] },
    { id: "b", source: "", temperature: 0, seed: 0, prompt: [1], answer: [9] },
  ]
  const plain = answerWindows(answers, length)
  return {
    samples: 2,
    batch(indices, random) {
      const { tensors, tokens } = plain.batch(indices, random)
      const data = Float32Array.from({ length: 2 * length }, (_, i) => 1000 * Math.floor(i / length) + (i % length))
      return { tensors: { ...tensors, final: { type: "float32", shape: [2, length, 1], data } }, tokens }
    },
  }
}

function batchOf(span: number, length: number, picked: number) {
  const places = new Int32Array(20).fill(-1)
  for (const [place, id] of [4, 5, 7].entries()) places[id] = place
  const embed = (tokens: Int32Array) => Float32Array.from(tokens)
  const data = drafterBatches({ windows: windowsOf(length), hidden: 1, span, embed, places, picked })
  const { tensors } = data.batch([0, 1], createRandom(1))
  return Object.fromEntries(Object.entries(tensors).map(([name, { data }]) => [name, Array.from(data, Number)]))
}

describe("span 1", () => {
  const batch = batchOf(1, 8, 4)

  test("row i holds token i + 1 and feature i", () => {
    expect(batch.embedded!.slice(0, 7)).toEqual([2, 3, 4, 5, 6, 7, 0])
    expect(batch.features!.slice(0, 7)).toEqual([0, 1, 2, 3, 4, 5, 6])
    expect(batch.features!.slice(7, 9)).toEqual([1000, 1001])
  })

  test("rows count from the answer's first token to the one before its last; others fill up and count nothing", () => {
    // Tokens 4, 5, 6 (rows 2, 3, 4) lead to 5, 6, 7; the one-token answer leads nowhere.
    const rows = batch.picked!.map((row, i) => (batch.counts![i] === 1 ? row : "filler"))
    expect([...rows].sort()).toEqual([2, 3, 4, "filler"])
  })

  test("labels are places in the vocabulary, and a token outside of it is marked", () => {
    const found = new Map(batch.picked!.map((row, i) => [row, [batch.label![i], batch.inside![i]]]))
    expect([found.get(2), found.get(3), found.get(4)]).toEqual([
      [1, 1], // token 5
      [0, 0], // token 6 cannot be drafted
      [2, 1], // token 7
    ])
  })
})

test("span 2: a row leads to the token three further, and an odd window loses a row", () => {
  expect([rowsInWindow(8, 2), rowsInWindow(9, 2)]).toEqual([4, 6])
  const batch = batchOf(2, 9, 3)
  const found = batch.picked!.flatMap((row, i) =>
    batch.counts![i] === 1 ? [[row, batch.label![i], batch.inside![i]]] : [],
  )
  expect(found.sort()).toEqual([
    [2, 0, 0], // token 4 leads to 6
    [3, 2, 1], // token 5 leads to 7
  ])
})
