/** Lookahead: the method contract; the golden pass; a window that may hold anything; and that it guesses well enough. */
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { methodContract } from "../../../test/method-contract.ts"
import { bitsText, contextOf, defaultPrompt, runMethod, watched } from "../../../test/support/method-harness.ts"
import { contractModel, integerFrom, randomTokens, seeded, tinyCheckpoint } from "../../../test/support/tiny-model.ts"
import { fixedBudget } from "../../decoding/draft-budget.ts"
import { speculate } from "../../decoding/speculate.ts"
import { createSpeculationTally } from "../../decoding/speculation-report.ts"
import { verificationPass } from "../../decoding/verification.ts"
import { loadRunner } from "../../runtime/load-runner.ts"
import type { SessionRunner } from "../../runtime/model-runner.ts"
import { treeOf } from "./gram-pool.ts"
import { lookahead } from "./lookahead.ts"
import { createLookaheadDrafter, type LookaheadParts, withWindow } from "./lookahead-drafter.ts"

methodContract(lookahead, {
  optionSets: [{}, { level: 5, width: 7, guesses: 7, promptGrams: false }],
})

let target: SessionRunner
beforeAll(async () => {
  const checkpoint = tinyCheckpoint({ ...contractModel, seed: 21 })
  target = await loadRunner(checkpoint, { weights: "f32", threads: 1, device: "cpu" })
})
afterAll(() => target.dispose())

const level = 5
const width = 7
const window = { rows: [6, 7, 7, 7].map((length, row) => randomTokens(length, 40, row)) }
const grams = Array.from({ length: 7 }, (_, i) => [i, i, i, i])

describe("one pass for N = 5, W = 7, G = 7", () => {
  const tree = treeOf(grams, { nodes: 28, depth: 4 })

  test("56 rows: the pending token, 28 of the n-grams, 27 of the window", () => {
    const cache = target.openCache()
    const { pass, rows, lastRow } = withWindow(verificationPass(tree, 3, cache), window, 400)!
    const { tokens } = pass.input as { tokens: Int32Array }
    expect(tokens).toHaveLength(56)
    expect([rows, lastRow]).toEqual([29, [49, 50, 51, 52, 53, 54, 55]])
    expect([...pass.positions!.slice(0, 9)]).toEqual([0, 1, 2, 3, 4, 1, 2, 3, 4])
    expect([...pass.positions!.slice(29)]).toEqual([
      ...[1, 2, 3, 4, 5, 6],
      ...[1, 2, 3, 4, 5, 6, 7],
      ...[2, 3, 4, 5, 6, 7, 8],
      ...[3, 4, 5, 6, 7, 8, 9],
    ])
    // Neither sees the other: n-grams hang below n-grams, the window below itself, both below the pending token.
    const { parents } = pass.mask as { parents: Int32Array }
    expect(parents[0]).toBe(-1)
    expect([...parents].slice(1, 29).every((parent) => parent < 29)).toBe(true)
    expect([...parents].slice(29).every((parent) => parent === 0 || parent >= 29)).toBe(true)
    cache.dispose()
  })

  test("the rows of the draft have the bits they have without the window", async () => {
    const cache = target.openCache()
    const plain = await target.forward(verificationPass(tree, 3, cache))
    const both = await target.forward(withWindow(verificationPass(tree, 3, cache), window, 400)!.pass)
    expect(bitsText(both.logits!.data.subarray(0, plain.logits!.data.length))).toBe(bitsText(plain.logits!.data))
    cache.dispose()
  })

  test("it stays out of a pass where it would cross the block's border or the context's end", async () => {
    const cache = target.openCache()
    const fill = async (count: number) => {
      const pass = await target.forward({ input: { tokens: new Int32Array(count) }, cache })
      pass.keep(Array.from({ length: count }, (_, row) => row))
    }
    await fill(72)
    expect(withWindow(verificationPass(tree, 3, cache), window, 400)).toBeDefined() // 72 + 56 = 128
    expect(withWindow(verificationPass(tree, 3, cache), window, 81)).toBeUndefined() // the last guess stands at 81
    expect(withWindow(verificationPass(tree, 3, cache), window, 82)).toBeDefined()
    await fill(1)
    expect(withWindow(verificationPass(tree, 3, cache), window, 400)).toBeUndefined()
    cache.dispose()
  })
})

test("more rows than a block of 128 holds are refused", async () => {
  const run = (options: Record<string, unknown>) => runMethod(lookahead, { target }, { options, maxTokens: 3 })
  await expect(run({ level: 9, width: 8, guesses: 9 })).rejects.toThrow(
    expect.objectContaining({ code: "E_OPTION", message: expect.stringContaining("136") }),
  )
  await run({ level: 9, width: 8, guesses: 8 })
})

describe("what the window holds", () => {
  /** A run whose window begins with these tokens, or is overwritten by chance in every pass. */
  async function run(parts: Partial<LookaheadParts>, spoil?: () => number) {
    const watch = watched(target)
    const spoiled = {
      ...watch.runner,
      async forward(pass: Parameters<SessionRunner["forward"]>[0]) {
        const want = pass.want?.logits
        if (!spoil || !Array.isArray(want)) return watch.runner.forward(pass)
        const first = want.findIndex((row, i) => row !== i)
        const { tokens } = pass.input as { tokens: Int32Array }
        const count = first < 0 ? tokens.length : first
        return watch.runner.forward({
          ...pass,
          input: { tokens: tokens.map((token, row) => (row < count ? token : spoil())) },
        })
      },
    }
    const context = contextOf(lookahead, { target }, { maxTokens: 120 })
    const drafter = createLookaheadDrafter({
      ...{ target: spoiled, level, width, guesses: 7, prompt: undefined, token: () => 0 },
      ...parts,
    })
    const run = speculate({ tokens: Int32Array.from(defaultPrompt) }, context, { drafter, budget: fixedBudget(4, 28) })
    const tally = createSpeculationTally()
    for (;;) {
      const next = await run.next()
      if (next.done) return { tokens: next.value.tokens.map(({ id }) => id), report: tally.report()! }
      tally.add(next.value)
    }
  }

  test("never changes the answer, only how fast it comes", async () => {
    const plain = await run({})
    const random = seeded(12)
    for (const found of [
      await run({ token: () => integerFrom(random, 0, 39) }),
      await run({}, () => integerFrom(random, 0, 39)),
      await run({ prompt: randomTokens(60, 40, 3) }),
    ])
      expect(found.tokens).toEqual(plain.tokens)
    expect(plain.report.meanAcceptedLength).toBeGreaterThan(1.2)
    const spoiled = await run({}, () => integerFrom(random, 0, 39))
    expect(plain.report.accepted).toBeGreaterThan(spoiled.report.accepted)
  })

  test("an n-gram that is wholly right gives N tokens: its own and the target's", async () => {
    const { report } = await run({})
    expect(report.histogram).toHaveLength(level)
    expect(report.histogram.at(-1)).toBeGreaterThan(0)
  })
})
