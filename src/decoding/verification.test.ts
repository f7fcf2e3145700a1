/** Room for drafts, laws below them, and what verification leaves in the cache: numbers by hand and a real cache. */
import { expect, test } from "vitest"
import { cachedRow, differingBits } from "../../test/support/bit-exact.ts"
import { createTestDrafter, testMethod } from "../../test/support/drafters.ts"
import { contextOf, defaultPrompt, runMethod, watched } from "../../test/support/method-harness.ts"
import { integerFrom, randomTokens, seeded, type TinyModel, tinyCheckpoint } from "../../test/support/tiny-model.ts"
import { cacheOf, greedy, range } from "../../test/support/tiny-runner.ts"
import type { HostCache } from "../runtime/kv-cache.ts"
import { loadRunner } from "../runtime/load-runner.ts"
import { chainOf } from "./candidate-tree.ts"
import { fixedBudget } from "./draft-budget.ts"
import { createSampler } from "./sampler.ts"
import { validateSampling } from "./sampling-options.ts"
import { type Drafter, speculate } from "./speculate.ts"
import { createTokenHistory } from "./token-history.ts"
import { lawsBelow, roomForDraft } from "./verification.ts"

const tiny: TinyModel = {
  family: "llama",
  seed: 5,
  hidden: 32,
  heads: 2,
  kvHeads: 1,
  headSize: 16,
  layers: 2,
  intermediate: 64,
  vocabulary: 40,
  context: 140,
}
const open = (model = tiny) => loadRunner(tinyCheckpoint(model), { weights: "f32", threads: 1, device: "cpu" })

test.each([
  // wanted nodes and depth, past, context, left → nodes, depth
  [10, 4, 5, 999, 99, 10, 4],
  [10, 4, 120, 999, 99, 7, 4], // rows 120 to 127: the pending token and seven
  [10, 10, 127, 999, 99, 0, 0],
  [10, 10, 128, 999, 99, 10, 10],
  [10, 4, 5, 999, 3, 10, 2], // two accepted and one of the target's own
  [10, 4, 5, 999, 1, 0, 0],
  [10, 4, 5, 8, 99, 2, 2], // three positions left
  [10, 4, 5, 6, 99, 0, 0],
  [0, 0, 5, 999, 99, 0, 0],
  [5, 0, 5, 999, 99, 0, 0],
])(
  "%i nodes of depth %i, %i cached of %i, %i left: room for %i of depth %i",
  (nodes, depth, past, context, left, n, d) => {
    expect(roomForDraft({ nodes, depth }, { past, context, left })).toEqual({ nodes: n, depth: d })
  },
)

test("laws below a draft know the tokens above them, and leave the history as it was", () => {
  const sampler = createSampler(validateSampling({ temperature: 1, frequencyPenalty: 1 }, 3))
  const history = createTokenHistory([0], [1])
  const data = new Float32Array(12) // all alike: only penalties tell tokens apart
  const tree = { tokens: [2, 2, 0], parents: [-1, 0, -1] }
  const law = lawsBelow(tree, { data, rows: 4, columns: 3 }, { sampler, history })
  const shares = (penalties: readonly number[]) => {
    const weights = penalties.map((penalty) => Math.exp(-penalty))
    return weights.map((weight) => expect.closeTo(weight / weights.reduce((a, b) => a + b), 12))
  }
  expect(Array.from(law(1).probs)).toEqual(shares([0, 1, 2])) // 1 committed, 2 drafted twice
  expect(Array.from(law(-1).probs)).toEqual(shares([0, 1, 0]))
  expect(Array.from(law(2).probs)).toEqual(shares([1, 1, 0]))
  expect(law(1)).toBe(law(1))
  expect(history.length).toBe(1)
})

test("accepted rows alone are cached, with the bits of plain decoding, and unused rows may hold anything", async () => {
  const target = await open()
  let cache: HostCache | undefined
  const watch = watched(target, () => {
    // Rows behind the end are poison: whoever reads them shows NaN.
    cache ??= watch.caches[0]!
    for (const index of range(2)) {
      const { tailKeys, tailValues } = cache.layer(index)
      for (const used of [tailKeys, tailValues])
        new Float32Array(used.buffer, used.byteOffset + used.byteLength).fill(Number.NaN)
    }
  })
  const seen: HostCache[] = []
  const context = contextOf(testMethod, { target: watch.runner }, { maxTokens: 60 })
  const inner = createTestDrafter(context, "perfect", "small")
  const drafter: Drafter = { ...inner, observe: () => seen.push(watch.caches[0]!.fork()) }
  const run = speculate({ tokens: Int32Array.from(defaultPrompt) }, context, { drafter, budget: fixedBudget(8, 64) })
  let next = await run.next()
  while (!next.done) next = await run.next()
  const plain = await greedy(target, defaultPrompt, 60)
  expect(next.value.tokens.map(({ id }) => id)).toEqual(plain.tokens)
  expect(seen.length).toBeLessThan(45) // drafts were accepted
  const last = seen.at(-1)!
  const whole = await cacheOf(target, [...defaultPrompt, ...plain.tokens])
  const counts = range(last.length).map((row) => differingBits(cachedRow(last, row), cachedRow(whole, row)))
  expect(counts).toEqual(counts.map(() => 0))
  await target.dispose()
})

test.each([
  ["a prompt of one token", [7], 40],
  ["a prompt that fills a block but for a row", randomTokens(127, 40, 1), 12],
  ["a prompt of a whole block", randomTokens(128, 40, 2), 11],
  ["up to the last position of the context", randomTokens(100, 40, 3), 40],
])("%s", async (_, prompt, maxTokens) => {
  const target = await open()
  const plain = await greedy(target, prompt, maxTokens)
  for (const fill of ["perfect", "random"])
    for (const shape of ["chain", "large"]) {
      const watch = watched(target)
      const { outcome } = await runMethod(
        testMethod,
        { target: watch.runner },
        { prompt, maxTokens, options: { fill, shape } },
      )
      expect(outcome.tokens.map(({ id }) => id)).toEqual(plain.tokens)
    }
  await target.dispose()
})

test("the loop itself cuts drafts that are too long, and refuses those that are no drafts", async () => {
  const target = await open()
  const rows: number[] = []
  const context = contextOf(
    testMethod,
    { target: watched(target).runner },
    { prompt: randomTokens(100, 40, 4), maxTokens: 20 },
  )
  const random = seeded(1)
  const drafter = (tokens: () => number[]): Drafter => ({
    propose: async () => ({ tree: chainOf(tokens()) }),
    observe: ({ logits }) => rows.push(logits.rows),
  })
  const collect = async (one: Drafter) => {
    const run = speculate({ tokens: Int32Array.from(randomTokens(100, 40, 4)) }, context, {
      drafter: one,
      budget: fixedBudget(30),
    })
    let next = await run.next()
    while (!next.done) next = await run.next()
    return next.value
  }
  const long = await collect(drafter(() => range(90).map(() => integerFrom(random, 0, 39))))
  expect(long.tokens.map(({ id }) => id)).toEqual((await greedy(target, randomTokens(100, 40, 4), 20)).tokens)
  expect(Math.max(...rows)).toBe(19) // the pending token and eighteen: one less than what is left
  await expect(collect(drafter(() => [40]))).rejects.toThrow(expect.objectContaining({ code: "E_INTERNAL" }))
  await target.dispose()
})
