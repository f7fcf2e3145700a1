/** Candidate trees: the worked example of Medusa's buffers, brute force over random trees, cuts. */
import { describe, expect, test } from "vitest"
import { integerFrom, seeded } from "../../test/support/tiny-model.ts"
import { biasesOf } from "../runtime/mask.ts"
import {
  type CandidateTree,
  chainOf,
  checkTree,
  childrenOf,
  cutTree,
  depthsOf,
  emptyTree,
  isChain,
  leafPaths,
  pathTo,
  rankTree,
  rowsOf,
} from "./candidate-tree.ts"

/** Rows that each row of a verification pass sees, as the runtime makes the mask. */
function visible({ tokens, parents }: CandidateTree): number[][] {
  const rows = rowsOf({ tokens, parents }, 0, 0)
  const count = rows.tokens.length
  const reach = { positions: rows.positions, pastPositions: new Int32Array(0) }
  const { tail } = biasesOf({ parents: rows.parents }, undefined, { rows: count, past: 0, groups: 1, ...reach })
  return Array.from({ length: count }, (_, row) =>
    Array.from({ length: count }, (_, column) => column).filter((column) => tail.data[row * count + column] === 0),
  )
}

const nothing: ReadonlySet<number> = new Set()

describe("the worked example: rank paths (0) (1) (0,0) (0,1) (1,0), ten guesses a depth", () => {
  const { parents, depths, ranks } = rankTree([[1, 0], [0], [0, 1], [1], [0, 0]])
  // Medusa's flat list: the pending token, then ten guesses of head 1, then ten of head 2.
  const inList = ranks.map((rank, node) => 1 + 10 * (depths[node]! - 1) + rank)
  const tree = { tokens: inList.map((at) => 100 + at), parents }

  test("nodes by length, then by rank; siblings share positions; the list's indices", () => {
    expect(parents).toEqual([-1, -1, 0, 0, 1])
    expect(depths).toEqual([1, 1, 2, 2, 2])
    expect(inList).toEqual([1, 2, 11, 12, 11])
    expect([...rowsOf(tree, 7, 40).positions]).toEqual([40, 41, 41, 42, 42, 42])
    expect([...rowsOf(tree, 7, 40).tokens]).toEqual([7, 101, 102, 111, 112, 111])
    expect([...rowsOf(tree, 7, 40).parents]).toEqual([-1, 0, 0, 1, 1, 2])
  })

  test("each row sees the pending token, its ancestors and itself", () => {
    expect(visible(tree)).toEqual([[0], [0, 1], [0, 2], [0, 1, 3], [0, 1, 4], [0, 2, 5]])
  })

  test("a path for each leaf, the last leaf's first", () => {
    const rows = leafPaths(tree).map((path) => [0, ...path.map((node) => node + 1)])
    expect(rows).toEqual([
      [0, 2, 5],
      [0, 1, 4],
      [0, 1, 3],
    ])
  })

  test("needs every path once, with its parent", () => {
    for (const paths of [[[0], [0]], [[0, 1]], [[]]])
      expect(() => rankTree(paths)).toThrow(expect.objectContaining({ code: "E_OPTION" }))
  })
})

test("1000 random trees against brute force: depths, children, paths, masks", () => {
  const random = seeded(11)
  for (let round = 0; round < 1000; round++) {
    const size = integerFrom(random, 0, 24)
    const parents = Array.from({ length: size }, (_, node) => integerFrom(random, -1, node - 1))
    const tree = { tokens: parents.map(() => integerFrom(random, 0, 9)), parents }
    checkTree(tree, 10)
    const seen = visible(tree)
    const wrong: number[] = [] // one assertion a tree: expect is slow
    for (const [node, depth] of depthsOf(tree).entries()) {
      const path = pathTo(tree, node)
      const isRight =
        path.length === depth &&
        path.at(-1) === node &&
        path.every((at, i) => parents[at] === (i === 0 ? -1 : path[i - 1])) &&
        seen[node + 1]!.join() === [0, ...path.map((at) => at + 1)].join() &&
        childrenOf(tree)[parents[node]! + 1]!.includes(node)
      if (!isRight) wrong.push(node)
    }
    expect(wrong).toEqual([])
    expect(childrenOf(tree).flat()).toHaveLength(size)
    const leaves = leafPaths(tree).map((path) => path.at(-1)!)
    expect(leaves).toEqual(
      parents
        .map((_, node) => node)
        .filter((node) => !parents.includes(node))
        .reverse(),
    )
    expect(isChain(tree)).toBe(parents.every((parent, node) => parent + 1 === node))
  }
})

test("a tree that no pass can take is refused", () => {
  const trees: CandidateTree[] = [
    { tokens: [1], parents: [] },
    { tokens: [1, 2], parents: [1, -1] },
    { tokens: [1], parents: [0] },
    { tokens: [1], parents: [-2] },
    { tokens: [10], parents: [-1] },
    { tokens: [-1], parents: [-1] },
    { tokens: [0.5], parents: [-1] },
  ]
  for (const tree of trees) expect(() => checkTree(tree, 10)).toThrow(expect.objectContaining({ code: "E_INTERNAL" }))
})

describe("cutting", () => {
  //        0:a          1:b
  //      2:c   3:d      4:e
  //      5:f
  const tree = { tokens: [10, 11, 12, 13, 14, 15], parents: [-1, -1, 0, 0, 1, 2] }

  test.each([
    ["all of it", { nodes: 9, depth: 9 }, [], [0, 1, 2, 3, 4, 5], [-1, -1, 0, 0, 1, 2]],
    ["by nodes", { nodes: 3, depth: 9 }, [], [0, 1, 2], [-1, -1, 0]],
    ["by depth", { nodes: 9, depth: 2 }, [], [0, 1, 2, 3, 4], [-1, -1, 0, 0, 1]],
    ["to nothing", { nodes: 0, depth: 0 }, [], [], []],
    ["below a stop id, its descendants too", { nodes: 9, depth: 9 }, [10], [0, 1, 4], [-1, -1, 1]],
    ["and then by nodes", { nodes: 3, depth: 9 }, [10], [0, 1, 4], [-1, -1, 1]],
  ])("%s", (_, room, ends, nodes, parents) => {
    const cut = cutTree(tree, room, new Set(ends))
    expect(cut).toEqual({ nodes, tree: { parents, tokens: nodes.map((node) => tree.tokens[node]) } })
  })

  test("a chain stays a chain", () => {
    expect(cutTree(chainOf([5, 6, 7, 8]), { nodes: 2, depth: 9 }, nothing).tree).toEqual(chainOf([5, 6]))
    expect(cutTree(chainOf([5, 6, 7, 8]), { nodes: 9, depth: 9 }, new Set([6])).tree).toEqual(chainOf([5, 6]))
    expect(cutTree(emptyTree, { nodes: 4, depth: 4 }, nothing).tree).toEqual(emptyTree)
  })
})
