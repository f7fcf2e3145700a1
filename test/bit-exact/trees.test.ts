/** Every node of a token tree has the bits of its path decoded one by one; keeping a path leaves the cache as if it had been. */
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import type { HostCache } from "../../src/runtime/kv-cache.ts"
import type { SessionRunner } from "../../src/runtime/model-runner.ts"
import { cachedRow, differences, differingBits, type RowBits, runRows } from "../support/bit-exact.ts"
import { integerFrom, randomTokens, seeded } from "../support/tiny-model.ts"
import { maxDifference, range } from "../support/tiny-runner.ts"
import { cases, openCase } from "./models.ts"

interface Tree {
  readonly parents: number[]
  readonly depths: number[]
  readonly tokens: number[]
}

/** Any shape: bushy, deep, forests; children may stand anywhere behind their parents. */
function randomTree(nodes: number, vocabulary: number, random: () => number): Tree {
  const reach = integerFrom(random, 1, nodes) // small: nearly a chain; large: bushy
  const parents = range(nodes).map((row) => integerFrom(random, Math.max(-1, row - reach), row - 1))
  const depths: number[] = []
  for (const parent of parents) depths.push(parent < 0 ? 0 : depths[parent]! + 1)
  return { parents, depths, tokens: parents.map(() => integerFrom(random, 0, vocabulary - 1)) }
}

/** Each node decoded after its path, in a cache of its own. */
async function nodeByNode(runner: SessionRunner, cache: HostCache, tree: Tree): Promise<RowBits[]> {
  const caches: HostCache[] = []
  const rows: RowBits[] = []
  for (const [node, token] of tree.tokens.entries()) {
    const parent = tree.parents[node]!
    const own = (parent < 0 ? cache : caches[parent]!).fork()
    caches.push(own)
    rows.push(...(await runRows(runner, own, [token])))
  }
  for (const own of caches) own.dispose()
  return rows
}

const inOnePass = (runner: SessionRunner, cache: HostCache, tree: Tree, keep: number[]) =>
  runRows(runner, cache, tree.tokens, {
    positions: tree.depths.map((depth) => cache.length + depth),
    mask: { parents: Int32Array.from(tree.parents) },
    keep,
  })

describe.each(cases)("$name", (one) => {
  const { vocabulary, seed } = one.model
  const tokens = randomTokens(300, vocabulary, seed)
  let runner: SessionRunner
  beforeAll(async () => {
    runner = await openCase(one)
  })
  afterAll(() => runner.dispose())

  // Context and nodes; a pass stays within the block in which it begins, up to its very end (96 + 32, 120 + 8, 250 + 6).
  test.each([
    [1, 12],
    [40, 32],
    [96, 32],
    [120, 8],
    [128, 17],
    [250, 6],
    [290, 24],
  ])("a random tree at context %i of %i nodes", async (context, nodes) => {
    const random = seeded(seed * 1000 + context)
    const cache = runner.openCache()
    await runRows(runner, cache, tokens.slice(0, context))
    const tree = randomTree(nodes, vocabulary, random)
    const expected = await nodeByNode(runner, cache, tree)
    expect(differences("tree", expected, await inOnePass(runner, cache, tree, []))).toEqual([])
    expect(cache.length).toBe(context)
  })

  test("keeping one path of a tree: cache rows and what follows", async () => {
    const random = seeded(seed + 7)
    const accepted = runner.openCache()
    await runRows(runner, accepted, tokens.slice(0, 100))
    const decoded = accepted.fork()
    const tree = randomTree(20, vocabulary, random)
    const path: number[] = []
    const deepest = tree.depths.indexOf(Math.max(...tree.depths))
    for (let node = deepest; node >= 0; node = tree.parents[node]!) path.unshift(node)
    await inOnePass(runner, accepted, tree, path)
    for (const node of path) await runRows(runner, decoded, [tree.tokens[node]!])
    expect(accepted.length).toBe(100 + path.length)
    const counts = range(accepted.length).map((row) => differingBits(cachedRow(accepted, row), cachedRow(decoded, row)))
    expect(counts).toEqual(counts.map(() => 0))
    const next = tokens.slice(200, 240) // over the end of the block
    expect(differences("after", await runRows(runner, decoded, next), await runRows(runner, accepted, next))).toEqual(
      [],
    )
  })
})

// Drafters cut at the block's end; a caller who does not gets the right numbers, without the promise of equal bits.
describe.each(cases.filter(({ weights }) => weights === "f32"))(
  "$name, over the end of a block",
  ({ model, weights, name }) => {
    test("a tree's logits are right, and its kept path is cached in order", async () => {
      const runner = await openCase({ model, weights, name })
      const cache = runner.openCache()
      await runRows(runner, cache, randomTokens(120, model.vocabulary, model.seed))
      const tree = randomTree(24, model.vocabulary, seeded(model.seed + 9))
      const expected = await nodeByNode(runner, cache, tree)
      const found = await inOnePass(runner, cache, tree, range(24))
      const worst = found.map(({ logits }, node) => maxDifference(logits, expected[node]!.logits))
      expect(worst.filter((difference) => !(difference < 1e-3))).toEqual([])
      expect(cache.length).toBe(144)
      const kept = range(24).map((node) => differingBits(cachedRow(cache, 120 + node), found[node]!.cached))
      expect(kept).toEqual(kept.map(() => 0))
      await runner.dispose()
    })
  },
)
