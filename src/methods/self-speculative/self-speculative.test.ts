/** A fixed exit layer: the method contract, that no layer runs a row twice, and that any exit gives the same tokens. */
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { methodContract } from "../../../test/method-contract.ts"
import { contextOf, defaultPrompt, runMethod, watched } from "../../../test/support/method-harness.ts"
import { type TinyModel, tinyCheckpoint } from "../../../test/support/tiny-model.ts"
import { draftLengthPolicies } from "../../decoding/draft-length.ts"
import type { Step } from "../../decoding/step.ts"
import { loadRunner } from "../../runtime/load-runner.ts"
import type { SessionRunner } from "../../runtime/model-runner.ts"
import { autoregressive } from "../autoregressive/autoregressive.ts"
import { exitLayerOf, selfSpeculative } from "./self-speculative.ts"

methodContract(selfSpeculative)

const tiny: TinyModel = {
  family: "llama",
  seed: 77,
  hidden: 32,
  heads: 2,
  kvHeads: 1,
  headSize: 16,
  layers: 4,
  intermediate: 32,
  vocabulary: 24,
  context: 400,
}

describe("passes and rows", () => {
  let target: SessionRunner
  beforeAll(async () => {
    target = await loadRunner(tinyCheckpoint(tiny), { weights: "f32", threads: 1, device: "cpu" })
  })
  afterAll(() => target.dispose())

  const accepted = (steps: readonly Step[]) =>
    steps.flatMap((step) => (step.type === "draft-verified" ? [step.accepted] : []))

  test("every exit layer, greedy and sampled: plain decoding's tokens, some drafts accepted", async () => {
    for (const sampling of [{}, { temperature: 1.1, topP: 0.9, repetitionPenalty: 1.2 }]) {
      const plain = await runMethod(autoregressive, { target }, { maxTokens: 140, sampling })
      for (const exitLayer of [1, 2, 3]) {
        const options = { exitLayer, draftLength: 5 }
        const { steps, outcome } = await runMethod(selfSpeculative, { target }, { maxTokens: 140, sampling, options })
        expect(outcome).toEqual(plain.outcome)
        expect(new Set(accepted(steps)).size).toBeGreaterThan(1)
      }
    }
  })

  test("a round runs each layer once on each row: K + 1 rows below the exit, the same rows above it", async () => {
    const watch = watched(target)
    const before = target.ledger.totals()
    const options = { exitLayer: 3, draftLength: 4 }
    const { steps } = await runMethod(selfSpeculative, { target: watch.runner }, { maxTokens: 60, options })
    const proposed = steps.flatMap((step) => (step.type === "draft-proposed" ? [step.tree.tokens.length] : []))
    const rows = defaultPrompt.length + proposed.reduce((sum, length) => sum + length + 1, 0)
    expect(target.ledger.since(before).layerRows).toBe(rows * tiny.layers)
    const spans = watch.passes.slice(1).map(({ layers }) => layers?.join("-") ?? "all")
    expect(spans.slice(0, 6)).toEqual(["0-3", "0-3", "0-3", "0-3", "0-3", "3-4"])
    expect(proposed.some((length) => length === 4)).toBe(true)
  })

  test("one cache, of one length in all layers after each round", async () => {
    const watch = watched(target)
    const run = selfSpeculative.run(
      { tokens: Int32Array.from(defaultPrompt) },
      contextOf(
        selfSpeculative,
        { target: watch.runner },
        { options: { exitLayer: 2, draftLength: 6 }, maxTokens: 200 },
      ),
    )
    for (let next = await run.next(); !next.done; next = await run.next())
      if (next.value.type === "draft-verified") expect(new Set(watch.caches[0]!.lengths).size).toBe(1)
    expect(watch.caches).toHaveLength(1)
  })

  test.each(draftLengthPolicies)("policy %s: the same tokens", async (policy) => {
    const plain = await runMethod(autoregressive, { target }, { maxTokens: 60 })
    const options = { exitLayer: 3, policy, draftLength: 6 }
    const { outcome } = await runMethod(selfSpeculative, { target }, { maxTokens: 60, options })
    expect(outcome).toEqual(plain.outcome)
  })
})

test("the exit layer: a quarter of the layers unless named, and always one is left behind it", () => {
  expect([2, 4, 30, 32].map((layers) => exitLayerOf(0, layers))).toEqual([1, 1, 8, 8])
  expect(exitLayerOf(29, 30)).toBe(29)
  for (const [wanted, layers] of [
    [30, 30],
    [0, 1],
  ] as const)
    expect(() => exitLayerOf(wanted, layers)).toThrow(expect.objectContaining({ code: "E_OPTION" }))
})
