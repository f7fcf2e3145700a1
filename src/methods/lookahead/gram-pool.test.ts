/** The pool: which n-grams stay, and the tree they make. */
import { expect, test } from "vitest"
import { createGramPool, treeOf } from "./gram-pool.ts"

test("the last few of each key, the latest first; one that is seen again is the latest", () => {
  const pool = createGramPool(2)
  pool.add(1, [10, 11])
  pool.add(2, [30, 31])
  pool.add(1, [12, 13])
  expect(pool.after(1)).toEqual([
    [12, 13],
    [10, 11],
  ])
  pool.add(1, [10, 11])
  pool.add(1, [14, 15])
  expect(pool.after(1)).toEqual([
    [14, 15],
    [10, 11],
  ])
  expect(pool.after(2)).toEqual([[30, 31]])
  expect(pool.after(3)).toEqual([])
})

test("n-grams that begin alike share their beginning", () => {
  const grams = [
    [5, 6, 7],
    [5, 6, 8],
    [9, 6, 7],
    [5, 1, 7],
  ]
  expect(treeOf(grams, { nodes: 20, depth: 9 })).toEqual({
    tokens: [5, 6, 7, 8, 9, 6, 7, 1, 7],
    parents: [-1, 0, 1, 1, -1, 4, 5, 0, 7],
  })
  expect(treeOf(grams, { nodes: 20, depth: 2 })).toEqual({ tokens: [5, 6, 9, 6, 1], parents: [-1, 0, -1, 2, 0] })
  expect(treeOf(grams, { nodes: 4, depth: 9 })).toEqual({ tokens: [5, 6, 7, 8], parents: [-1, 0, 1, 1] })
})
