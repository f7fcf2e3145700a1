/** The best tree of a size: against every tree there is, and by the properties that the search promises. */
import { expect, test } from "vitest"
import { seeded } from "../../test/support/tiny-model.ts"
import { sparseTree } from "./sparse-tree.ts"

/** Sum of worths of the best connected set of `size` rank paths, by trying all. */
function bestByForce(chances: readonly (readonly number[])[], size: number): number {
  const paths: { key: string; parent: string; worth: number }[] = []
  const grow = (key: string, depth: number, worth: number) => {
    for (const [rank, chance] of (chances[depth] ?? []).entries()) {
      const own = `${key}${rank}`
      paths.push({ key: own, parent: key, worth: worth * chance })
      grow(own, depth + 1, worth * chance)
    }
  }
  grow("", 0, 1)
  let best = 0
  for (let set = 0; set < 2 ** paths.length; set++) {
    const chosen = paths.filter((_, i) => (set >> i) & 1)
    if (chosen.length !== size) continue
    const keys = new Set(["", ...chosen.map(({ key }) => key)])
    if (chosen.every(({ parent }) => keys.has(parent)))
      best = Math.max(
        best,
        chosen.reduce((sum, { worth }) => sum + worth, 0),
      )
  }
  return best
}

test("is the best tree of its size, for falling chances", () => {
  const random = seeded(4)
  for (let trial = 0; trial < 12; trial++) {
    const falling = (count: number) => Array.from({ length: count }, random).sort((a, b) => b - a)
    const chances = [falling(3), falling(2), falling(1)] // 3 + 6 + 6 paths
    for (const size of [1, 2, 4, 7]) {
      const { worths } = sparseTree(chances, size)
      expect(worths.reduce((sum, worth) => sum + worth, 0)).toBeCloseTo(bestByForce(chances, size), 12)
    }
  }
})

test("by hand: a second guess at the top comes before a third token below the first", () => {
  // worths: (0) .5, (1) .3, (0,0) .2, (1,0) .12, (0,1) .1, (2) .1, (0,0,0) .1
  const chances = [[0.5, 0.3, 0.1], [0.4, 0.2], [0.5]]
  const { parents, depths, ranks, worths } = sparseTree(chances, 5)
  expect(parents).toEqual([-1, -1, 0, 1, -1])
  expect(depths).toEqual([0, 0, 1, 1, 0])
  expect(ranks).toEqual([0, 1, 0, 0, 2])
  expect(worths.map((worth) => Math.round(worth * 1e6) / 1e6)).toEqual([0.5, 0.3, 0.2, 0.12, 0.1])
})

test("worths fall, parents come first, no path twice; chances of 0 are not drafted, rising ones are held down", () => {
  const chances = [
    [0.2, 0.6, 0.1, 0],
    [0.9, 0.8],
  ]
  const { parents, depths, ranks, worths } = sparseTree(chances, 100)
  expect(worths).toEqual([...worths].sort((a, b) => b - a))
  expect(parents.every((parent, node) => parent < node)).toBe(true)
  expect(new Set(parents.map((parent, node) => `${parent} ${ranks[node]}`)).size).toBe(parents.length)
  expect(depths.filter((depth) => depth === 0)).toHaveLength(3)
  expect(parents).toHaveLength(9)
  expect(sparseTree([], 5).parents).toEqual([])
  expect(sparseTree(chances, 0).parents).toEqual([])
})
