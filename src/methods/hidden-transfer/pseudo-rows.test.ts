/** Masks and positions of pseudo rows: the spec's worked example, and brute force on random trees. */
import { describe, expect, test } from "vitest"
import { integerFrom, seeded } from "../../../test/support/tiny-model.ts"
import { chainParents, maskWithPseudo, positionsWithPseudo, transferStops } from "./pseudo-rows.ts"

/** For each row, the columns it sees. */
const seenBy = ({ rows, columns, data }: ReturnType<typeof maskWithPseudo>) =>
  Array.from({ length: rows }, (_, row) =>
    Array.from({ length: columns }, (_, column) => column).filter((column) => data[row * columns + column] === 1),
  )

describe("a root, its child, and two steps (spec 3.3)", () => {
  const real = { past: 0, positions: Int32Array.of(7, 8), parents: [-1, 0] }
  // Rows: R0, R1, P1(0), P1(1), P2(0), P2(1).
  const visible = [[0], [0, 1], [0, 2], [0, 1, 3], [0, 2, 4], [0, 1, 3, 5]]

  test("who sees whom", () => {
    expect(seenBy(maskWithPseudo(real, 2))).toEqual(visible)
  })

  test("all see the cached columns", () => {
    const shifted = visible.map((columns) => [0, 1, 2, ...columns.map((column) => column + 3)])
    expect(seenBy(maskWithPseudo({ ...real, past: 3 }, 2))).toEqual(shifted)
  })

  test("positions: the child and the root's first pseudo row share one", () => {
    expect([...positionsWithPseudo(real, 2)]).toEqual([7, 8, 8, 9, 9, 10])
  })
})

test("random trees: each row sees exactly what the rule says", () => {
  const random = seeded(5)
  for (let round = 0; round < 300; round++) {
    const rows = integerFrom(random, 1, 9)
    const steps = integerFrom(random, 0, 4)
    const past = integerFrom(random, 0, 5)
    const parents = Array.from({ length: rows }, (_, row) => integerFrom(random, -1, row - 1))
    const ancestors = (row: number): number[] => (row < 0 ? [] : [...ancestors(parents[row]!), row])
    const columnOf = (row: number, step: number) => past + step * rows + row
    const expected = Array.from({ length: rows * (1 + steps) }, (_, index) => {
      const [row, step] = [index % rows, Math.floor(index / rows)]
      const own = Array.from({ length: step }, (_, i) => columnOf(row, i + 1))
      const cached = Array.from({ length: past }, (_, i) => i)
      return [...cached, ...ancestors(row).map((real) => columnOf(real, 0)), ...own]
    })
    const positions = Int32Array.from({ length: rows }, (_, row) => past + ancestors(row).length - 1)
    expect(seenBy(maskWithPseudo({ past, positions, parents }, steps))).toEqual(expected)
  }
})

test("a line's parents", () => {
  expect([...chainParents(4)]).toEqual([-1, 0, 1, 2])
})

test("steps with a layer of their own begin there, in order", () => {
  expect(transferStops([20, 20, 20], 30)).toEqual([{ layer: 20, next: 30, count: 3, before: 0 }])
  expect(transferStops([10, 12, 12, 15], 16)).toEqual([
    { layer: 10, next: 12, count: 1, before: 0 },
    { layer: 12, next: 15, count: 2, before: 1 },
    { layer: 15, next: 16, count: 1, before: 3 },
  ])
})
