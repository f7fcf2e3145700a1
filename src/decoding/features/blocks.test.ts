/** Falcon's block mask, by its worked example and against a plain causal one; what is fed again. */
import { describe, expect, test } from "vitest"
import { firstRow, pieces, seesBlock } from "./blocks.ts"
import { createDraftCache } from "./draft-cache.ts"

const seen = (row: number, end: number, span: number): number[] =>
  Array.from({ length: end }, (_, other) => other).filter((other) => seesBlock(row, other, { end, span }))

describe("blocks of rows that see each other", () => {
  test("span 2, five rows: blocks {0}, {1, 2}, {3, 4}, counted from the end", () => {
    expect([0, 1, 2, 3, 4].map((row) => seen(row, 5, 2).length)).toEqual([1, 3, 3, 5, 5])
  })

  test("the row before the last always sees the last: from the start, as published, it would not for odd lengths", () => {
    const fromStart = (row: number, other: number, span: number) => Math.floor(other / span) <= Math.floor(row / span)
    for (const end of [2, 3, 4, 5, 6, 7]) expect(seesBlock(end - 2, end - 1, { end, span: 2 })).toBe(true)
    expect([5, 7].map((end) => fromStart(end - 2, end - 1, 2))).toEqual([false, false])
  })

  test("span 1 is the causal mask", () => {
    for (let row = 0; row < 7; row++) expect(seen(row, 7, 1)).toEqual(Array.from({ length: row + 1 }, (_, i) => i))
  })

  test("a length that the span does not divide leaves the short block at the start", () => {
    expect([0, 1, 2, 3, 4, 5, 6].map((row) => seen(row, 7, 3).length)).toEqual([1, 4, 4, 4, 7, 7, 7])
  })
})

test("a text is fed from what is new, but at least a block of it", () => {
  expect(firstRow(10, 13, 2)).toBe(10)
  expect(firstRow(10, 11, 2)).toBe(9) // one accepted token: the row before it once more
  expect(firstRow(10, 11, 1)).toBe(10)
  expect(firstRow(0, 1, 2)).toBe(0)
})

test("long texts go in pieces, the short one first", () => {
  expect(pieces(3, 13, 4)).toEqual([
    [3, 5],
    [5, 9],
    [9, 13],
  ])
  expect(pieces(5, 5, 4)).toEqual([])
})

test("a cache grows, forgets its end, and keeps its beginning", () => {
  const cache = createDraftCache(2)
  const row = (value: number) => Float32Array.of(value, -value)
  for (let i = 0; i < 200; i++) cache.append(row(i), row(2 * i))
  cache.rewind(150)
  cache.append(row(7), row(8))
  cache.rewind(400) // longer than it is: nothing happens
  expect(cache.length).toBe(151)
  expect([cache.keys[298], cache.values[298], cache.keys[300], cache.values[301]]).toEqual([149, 298, 7, -8])
})
