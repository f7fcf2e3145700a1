/** Fixed trees and the beam, and how a draft grows by them: numbers worked out by hand. */
import { describe, expect, test } from "vitest"
import { childrenOf, depthsOf, rankTree } from "../candidate-tree.ts"
import { type Block, type BlockRequest, type GrowOptions, grow, likeliestNodes } from "./grow.ts"
import { beamShape, eagleTree, staticShape } from "./tree-shape.ts"

/** A drafter of span 1 that guesses 10·token + rank + 1 below a token, with these probabilities. */
const probabilities = [0.5, 0.3, 0.2]
const block = (token: number): Block => ({
  guesses: [{ ids: [1, 2, 3].map((i) => 10 * token + i), logprobs: probabilities.map(Math.log) }],
  state: undefined,
})
function recorded(options: Partial<GrowOptions> & Pick<GrowOptions, "shape" | "depth">) {
  const passes: (readonly BlockRequest[])[] = []
  const run = async (requests: readonly BlockRequest[]) => {
    passes.push(requests)
    return requests.map(({ tokens }) => block(tokens.at(-1)!))
  }
  return { passes, grown: grow({ root: block(0), span: 1, run, ...options }) }
}

describe("EAGLE-1's tree", () => {
  test("has 25 nodes in five levels, below the ranks that the paper's code names", () => {
    const { parents, depths, ranks } = eagleTree
    expect([1, 2, 3, 4, 5].map((depth) => depths.filter((one) => one === depth).length)).toEqual([4, 8, 8, 3, 2])
    const nodeAt = (path: readonly number[]) =>
      path.reduce((node, rank) => parents.findIndex((parent, i) => parent === node && ranks[i] === rank), -1)
    const below = (path: readonly number[]) => parents.filter((parent) => parent === nodeAt(path)).length
    expect([[0], [1], [2], [3]].map(below)).toEqual([3, 2, 2, 1])
    expect(
      [
        [0, 0],
        [0, 1],
        [0, 2],
        [1, 0],
        [1, 1],
      ].map(below),
    ).toEqual([3, 2, 2, 1, 0])
    expect([below([0, 0, 0]), below([0, 0, 0, 0])]).toEqual([3, 2])
  })

  test("grows to those nodes, a pass for each level that has another below it", async () => {
    const root = { guesses: [{ ids: [1, 2, 3, 4], logprobs: [-1, -2, -3, -4] }], state: undefined }
    const { grown, passes } = recorded({ shape: staticShape(eagleTree)(), depth: 9, root })
    const tree = await grown
    expect(depthsOf(tree)).toEqual(eagleTree.depths)
    expect(passes.map((requests) => requests.length)).toEqual([4, 4, 1, 1])
    expect(passes[3]!.map(({ tokens }) => tokens)).toEqual([[1111]])
  })
})

describe("a fixed tree", () => {
  test("takes the ranks it names and no others", async () => {
    const shape = staticShape(rankTree([[0], [2], [2, 1], [2, 1, 0]]))
    const { grown } = recorded({ shape: shape(), depth: 9 })
    expect(await grown).toMatchObject({ tokens: [1, 3, 32, 321], parents: [-1, -1, 1, 2] })
    expect(shape().width).toBe(3)
  })

  test("two drafts of one shape know nothing of each other", async () => {
    const shape = staticShape(rankTree([[0], [0, 1]]))
    const trees = [recorded({ shape: shape(), depth: 2 }), recorded({ shape: shape(), depth: 2 })]
    for (const { grown } of trees) expect((await grown).tokens).toEqual([1, 12])
  })
})

describe("EAGLE-2's tree", () => {
  test("each level grows below its likeliest nodes, with all their guesses", async () => {
    const { grown, passes } = recorded({ shape: beamShape({ width: 2, least: 0 }), depth: 3 })
    const tree = await grown
    // Level 1: 1 (.5), 2 (.3). Below: 11 (.25), 12 (.15), 21 (.15), 22 (.09); 12 comes before 21, its equal.
    expect(passes.map((requests) => requests.map(({ tokens }) => tokens[0]))).toEqual([
      [1, 2],
      [11, 12],
    ])
    expect(tree.tokens).toEqual([1, 2, 11, 12, 21, 22, 111, 112, 121, 122])
    expect(tree.scores.map(Math.exp).map((score) => Number(score.toFixed(4)))).toEqual([
      0.5, 0.3, 0.25, 0.15, 0.15, 0.09, 0.125, 0.075, 0.075, 0.045,
    ])
  })

  test("what is verified are the likeliest nodes of all levels: a connected tree, parents first", async () => {
    const { grown } = recorded({ shape: beamShape({ width: 2, least: 0 }), depth: 3 })
    const tree = await grown
    expect(likeliestNodes(tree, 4)).toMatchObject({ tokens: [1, 2, 11, 12], parents: [-1, -1, 0, 0] })
    // 111 (.125) is likelier than 22 (.09).
    expect(likeliestNodes(tree, 6)).toMatchObject({ tokens: [1, 2, 11, 12, 21, 111], parents: [-1, -1, 0, 0, 1, 2] })
    expect(likeliestNodes(tree, 99).tokens).toEqual(tree.tokens)
  })

  test("sure guesses that tie with their parents do not cut the tree, not even where rounding lifts them above 0", async () => {
    const sure = (token: number): Block => ({
      guesses: [{ ids: [token + 1, token + 50], logprobs: [1e-7, -30] }],
      state: undefined,
    })
    const shape = beamShape({ width: 2, least: 0 })
    const run = async (requests: readonly BlockRequest[]) => requests.map(({ tokens }) => sure(tokens[0]!))
    const tree = await grow({ root: sure(0), span: 1, shape, depth: 4, run })
    for (let count = 0; count <= tree.tokens.length; count++)
      expect(likeliestNodes(tree, count).parents.every((parent, node) => parent >= -1 && parent < node)).toBe(true)
    expect(likeliestNodes(tree, 4).tokens).toEqual([1, 2, 3, 4])
  })

  test("unlikely lines end, and a drafter that stops leaves the tree as it is", async () => {
    const { grown, passes } = recorded({ shape: beamShape({ width: 3, least: 0.4 }), depth: 9 })
    expect((await grown).tokens).toEqual([1, 2, 3, 11, 12, 13])
    expect(passes.map((requests) => requests.length)).toEqual([1])
    const stopped = await grow({
      root: block(0),
      span: 1,
      shape: beamShape({ width: 2, least: 0 }),
      depth: 5,
      run: async () => undefined,
    })
    expect(stopped.tokens).toEqual([1, 2])
  })
})

describe("span 2: guesses come two depths at a time", () => {
  /** Below the node that ends in `tokens`: depth 1 guesses 7 and 8, depth 2 guesses 5 and 6, whatever stands above. */
  const wide = (): Block => ({
    guesses: [
      { ids: [7, 8], logprobs: [-1, -2] },
      { ids: [5, 6], logprobs: [-1, -3] },
    ],
    state: undefined,
  })

  test("depth 2 hangs the same guesses below every token of depth 1; a pass opens a block below each node of depth 2", async () => {
    const passes: (readonly BlockRequest[])[] = []
    const run = async (requests: readonly BlockRequest[]) => {
      passes.push(requests)
      return requests.map(wide)
    }
    const shape = staticShape(rankTree([[0], [1], [0, 0], [0, 1], [1, 0], [0, 0, 0], [1, 0, 1], [1, 0, 1, 0]]))
    const tree = await grow({ root: wide(), span: 2, shape: shape(), depth: 4, run })
    expect(tree.tokens).toEqual([7, 8, 5, 6, 5, 7, 8, 5])
    expect(tree.parents).toEqual([-1, -1, 0, 0, 1, 2, 4, 6])
    expect(passes.map((requests) => requests.map(({ tokens }) => tokens))).toEqual([
      [
        [7, 5],
        [8, 5],
      ],
    ])
    expect(childrenOf(tree)[0]).toEqual([0, 1])
  })

  test("passes of the drafter below the text: depth / span, rounded up, less the one that read it", async () => {
    for (const [depth, passes] of [
      [1, 0],
      [2, 0],
      [3, 1],
      [4, 1],
      [5, 2],
      [8, 3],
    ] as const) {
      let count = 0
      const run = async (requests: readonly BlockRequest[]) => {
        count++
        return requests.map(wide)
      }
      await grow({ root: wide(), span: 2, shape: beamShape({ width: 1, least: 0 }), depth, run })
      expect(count).toBe(passes)
    }
  })
})
