/** Falcon: the method contract with weights that know nothing; its tree; and that one token a pass is EAGLE. */
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { methodContract } from "../../../test/method-contract.ts"
import { randomDrafter } from "../../../test/support/drafter-part.ts"
import { defaultPrompt, runMethod } from "../../../test/support/method-harness.ts"
import { openTestPart } from "../../../test/support/test-part.ts"
import { contractModel, tinyCheckpoint } from "../../../test/support/tiny-model.ts"
import type { DraftPart } from "../../decoding/features/draft-part.ts"
import type { OpenedPart, PartTarget } from "../../decoding/method-part.ts"
import type { Step } from "../../decoding/step.ts"
import { loadRunner } from "../../runtime/load-runner.ts"
import type { SessionRunner } from "../../runtime/model-runner.ts"
import { loadContinuation } from "../index.ts"
import { falcon } from "./falcon.ts"
import { falconTree } from "./falcon-tree.ts"

methodContract(falcon, {
  optionSets: [{ size: "fixed" }, { tree: "dynamic", width: 2 }],
  part: randomDrafter({ span: 2, fusion: "gate" }),
})

test("the custom tree has 31 nodes and reaches into the third pass", () => {
  const { parents, depths, ranks } = falconTree
  expect([parents.length, Math.max(...depths)]).toEqual([31, 4])
  expect(parents.every((parent, node) => parent < node)).toBe(true)
  const names = parents.map((parent, node) => `${parent} ${ranks[node]}`)
  expect(new Set(names).size).toBe(31)
})

describe("beside EAGLE", () => {
  const checkpoint = tinyCheckpoint(contractModel)
  let target: SessionRunner
  const parts: OpenedPart[] = []
  beforeAll(async () => {
    target = await loadRunner(checkpoint, { weights: "f32", threads: 1, device: "cpu" })
  })
  afterAll(async () => {
    for (const part of parts) await part.dispose()
    await target.dispose()
  })

  const drafts = (steps: readonly Step[]) =>
    steps.flatMap((step) => (step.type === "draft-proposed" ? [step.tree] : []))
  async function run(
    name: string,
    make: (target: PartTarget) => ReturnType<ReturnType<typeof randomDrafter>>,
    options: object,
  ) {
    const method = await loadContinuation(name)
    const part = (await openTestPart(method, checkpoint, make)) as DraftPart
    parts.push(part)
    const passes: number[] = []
    const counted: DraftPart = {
      ...part,
      run(cache, rows) {
        passes.push(rows.tokens.length)
        return part.run(cache, rows)
      },
    }
    const { steps, outcome } = await runMethod(
      method,
      { target },
      { part: counted, options: { ...options }, maxTokens: 40 },
    )
    return { passes, trees: drafts(steps), ids: outcome.tokens.map(({ id }) => id) }
  }
  const chain = { tree: "chain", depth: 4, size: "fixed" }

  test("span 1 and a plain fusion draft exactly what EAGLE's layer drafts", async () => {
    const make = randomDrafter({ span: 1, fusion: "plain" })
    for (const options of [chain, { tree: "dynamic", width: 4, depth: 4, nodes: 20, size: "fixed" }]) {
      const least = options.tree === "dynamic" ? { least: 0.05 } : {}
      const [one, two] = [await run("falcon", make, options), await run("eagle", make, { ...options, ...least })]
      expect(one).toEqual(two)
      expect(one.trees.length).toBeGreaterThan(8)
    }
  })

  test("a draft of four takes two passes instead of four", async () => {
    const rounds = (found: { trees: readonly { tokens: readonly number[] }[] }) =>
      found.trees.filter(({ tokens }) => tokens.length === 4).length
    const two = await run("falcon", randomDrafter({ span: 2, fusion: "gate" }), chain)
    const one = await run("eagle", randomDrafter({ span: 1, fusion: "plain" }), chain)
    // The last rounds have less room than four.
    expect(one.passes.length).toBeGreaterThanOrEqual(4 * rounds(one))
    expect(two.passes.length).toBeLessThanOrEqual(2 * two.trees.length)
    expect(two.passes.length).toBeGreaterThanOrEqual(2 * rounds(two))
  })

  test("what was cached round by round drafts as a text that is read afresh", async () => {
    for (const [name, make] of [
      ["falcon", randomDrafter({ span: 2, fusion: "gate" })],
      ["falcon", randomDrafter({ span: 3, fusion: "plain" })],
      ["eagle", randomDrafter({ span: 1, fusion: "plain" })],
    ] as const) {
      const method = await loadContinuation(name)
      const part = await openTestPart(method, checkpoint, make)
      parts.push(part)
      const long = await runMethod(method, { target }, { part, options: chain, maxTokens: 40 })
      const text = [...defaultPrompt]
      const rounds: { before: number[]; draft: readonly number[] }[] = []
      for (const step of long.steps) {
        if (step.type === "draft-proposed" && step.tree.tokens.length === 4)
          rounds.push({ before: text.slice(0, -1), draft: step.tree.tokens })
        if (step.type === "tokens-committed") text.push(...step.tokens.map(({ id }) => id))
      }
      expect(new Set(rounds.map(({ before }) => before.length % 2)).size).toBe(2)
      // A run that begins there, without the pending token, draws that token first, and then makes its first draft.
      for (const { before, draft } of rounds.filter((_, i) => i % 3 === 1)) {
        const { steps } = await runMethod(method, { target }, { prompt: before, part, options: chain, maxTokens: 6 })
        expect(drafts(steps)[0]!.tokens).toEqual(draft)
      }
    }
  })
})
