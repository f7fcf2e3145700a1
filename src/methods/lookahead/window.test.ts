/** The window's shapes, its mask and its n-grams, as the paper's code has them. */
import { describe, expect, test } from "vitest"
import { advance, emptyWindow, gramsOf, isFull, type Window, type WindowSize, windowRows } from "./window.ts"

/** A window that has taken so many steps, of numbers that tell where they come from: 100·step + column. */
function afterSteps(size: WindowSize, steps: number): Window {
  let next = 0
  let window = emptyWindow(size, () => next++)
  for (let step = 1; step <= steps; step++)
    window = advance(
      window,
      window.rows.at(-1)!.map((_, c) => 100 * step + c),
      size,
    )
  return window
}

const lengths = ({ rows }: Window) => rows.map((row) => row.length)

describe("filling: N - 2 steps", () => {
  test.each([
    [{ level: 5, width: 7 }, [[9], [8, 9], [7, 8, 8], [6, 7, 7, 7]]],
    [{ level: 3, width: 3 }, [[3], [2, 3]]],
    [{ level: 3, width: 1 }, [[1], [0, 1]]],
  ])("%o", (size, shapes) => {
    expect(shapes.map((_, step) => lengths(afterSteps(size, step)))).toEqual(shapes)
    expect(shapes.map((_, step) => isFull(afterSteps(size, step), size))).toEqual(
      shapes.map((_, step) => step === shapes.length - 1),
    )
  })

  test("a full window keeps its shape", () => {
    const size = { level: 5, width: 7 }
    expect(lengths(afterSteps(size, 20))).toEqual([6, 7, 7, 7])
  })

  test("another number of guesses than the last row has is refused", () => {
    const size = { level: 5, width: 7 }
    expect(() => advance(afterSteps(size, 3), [1, 2], size)).toThrow(expect.objectContaining({ code: "E_INTERNAL" }))
  })
})

test("moving up: row 0 loses its first token to the pending one, the others keep their columns", () => {
  const size = { level: 4, width: 3 }
  const window = {
    rows: [
      [1, 2],
      [11, 12, 13],
      [21, 22, 23],
    ],
  }
  expect(advance(window, [31, 32, 33], size).rows).toEqual([
    [12, 13],
    [21, 22, 23],
    [31, 32, 33],
  ])
})

test("n-grams: down each column, keyed by the token before it", () => {
  const window = {
    rows: [
      [1, 2],
      [11, 12, 13],
      [21, 22, 23],
    ],
  }
  expect(gramsOf(window, 7, [31, 32, 33])).toEqual([
    { key: 7, gram: [11, 21, 31] },
    { key: 1, gram: [12, 22, 32] },
    { key: 2, gram: [13, 23, 33] },
  ])
})

describe("rows of a pass", () => {
  test.each([
    { level: 5, width: 7 },
    { level: 3, width: 3 },
    { level: 4, width: 1 },
  ])("who sees whom, by the definition: %o", (size) => {
    const { level, width } = size
    const window = afterSteps(size, level + 3)
    const { tokens, parents, offsets, last } = windowRows(window)
    expect(tokens).toEqual(window.rows.flat())
    expect(tokens.slice(last)).toEqual(window.rows.at(-1))
    const index = (r: number, c: number) => (r === 0 ? c - 1 : width - 1 + (r - 1) * width + c) // row 0 has no column 0
    for (let r = 0; r < level - 1; r++)
      for (let c = r === 0 ? 1 : 0; c < width; c++) {
        const sees = new Set<number>()
        for (let i = 1; i <= c; i++) sees.add(index(0, i)) // block 0 up to the column
        for (let i = 1; i <= r; i++) sees.add(index(i, c)) // the column down to the row
        const found = new Set<number>()
        for (let at = index(r, c); at >= 0; at = parents[at]!) found.add(at)
        expect(found).toEqual(sees)
        expect(offsets[index(r, c)]).toBe(r + c)
      }
  })

  test("while it fills, a guess stands one after the token it was made from", () => {
    const size = { level: 5, width: 7 }
    for (let step = 1; step < 3; step++) {
      const window = afterSteps(size, step)
      const { parents, offsets } = windowRows(window)
      for (const [row, parent] of parents.entries()) expect(offsets[row]).toBe(parent < 0 ? 1 : offsets[parent]! + 1)
    }
  })
})
