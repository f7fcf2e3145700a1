/** Predicted output: the method contract with right, edited and wrong predictions; passes; what is reported. */
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { methodContract } from "../../../test/method-contract.ts"
import { defaultPrompt, runMethod, watched } from "../../../test/support/method-harness.ts"
import { contractModel, integerFrom, randomTokens, seeded, tinyCheckpoint } from "../../../test/support/tiny-model.ts"
import { greedy } from "../../../test/support/tiny-runner.ts"
import { createSpeculationTally } from "../../decoding/speculation-report.ts"
import { loadRunner } from "../../runtime/load-runner.ts"
import type { SessionRunner } from "../../runtime/model-runner.ts"
import { predictedOutput } from "./predicted-output.ts"

/** Every sixth place: a token replaced, left out, or put in. */
function edited(tokens: readonly number[], vocabulary: number): number[] {
  const random = seeded(4)
  return tokens.flatMap((token, i) => {
    if (i % 6 !== 5) return [token]
    const other = integerFrom(random, 0, vocabulary - 1)
    return [[other], [], [token, other]][Math.floor(i / 6) % 3]!
  })
}

describe("a prediction that is edited", () => {
  methodContract(predictedOutput, {
    optionSets: [{}, { draftLength: 3 }],
    prediction: async (target) =>
      edited((await greedy(target as SessionRunner, defaultPrompt, 150)).tokens, target.config.vocabulary),
  })
})

describe("a prediction that is wrong", () => {
  methodContract(predictedOutput, { prediction: async ({ config }) => randomTokens(80, config.vocabulary, 9) })
})

describe("passes and report", () => {
  let target: SessionRunner
  let answer: readonly number[]
  const maxTokens = 120
  beforeAll(async () => {
    // At a temperature, so that the answer does not run in circles.
    const checkpoint = tinyCheckpoint(contractModel)
    target = await loadRunner(checkpoint, { weights: "f32", threads: 1, device: "cpu" })
    answer = (await run([])).outcome.tokens.map(({ id }) => id)
  })
  afterAll(() => target.dispose())

  async function run(prediction: readonly number[]) {
    const watch = watched(target)
    const settings = { sampling: { temperature: 1.5 }, seed: 8, maxTokens, prediction }
    const { steps, outcome } = await runMethod(predictedOutput, { target: watch.runner }, settings)
    const tally = createSpeculationTally()
    for (const step of steps) tally.add(step)
    const rows = watch.passes.map(({ input }) => ("tokens" in input ? input.tokens.length : 0))
    return { outcome, report: tally.report()!, passes: watch.passes.length, rows: rows.reduce((a, b) => a + b, 0) }
  }

  test("the whole answer, expected: drafts grow until it is done in a few passes, and nothing is rejected", async () => {
    const { outcome, report, passes } = await run(answer)
    expect(outcome.tokens.map(({ id }) => id)).toEqual(answer)
    expect(passes).toBeLessThan(10)
    // The first token comes out of the prompt's pass, and each round adds one of the target's own.
    expect(report.acceptedPrediction).toBe(maxTokens - 1 - report.rounds)
    expect(report.rejectedPrediction).toBe(0)
  })

  test.each([
    ["a line replaced", (t: readonly number[]) => [...t.slice(0, 50), 1, 2, 3, 4, ...t.slice(57)]],
    ["a line put in", (t: readonly number[]) => [...t.slice(0, 50), 1, 2, 3, 4, 5, 6, ...t.slice(50)]],
    ["a line left out", (t: readonly number[]) => [...t.slice(0, 50), ...t.slice(58)]],
    ["another beginning", (t: readonly number[]) => [t[0]!, 1, 2, 3, ...t.slice(1)]],
  ])("%s: it finds its way back", async (_, change) => {
    const { outcome, report, passes } = await run(change(answer))
    expect(outcome.tokens.map(({ id }) => id)).toEqual(answer)
    expect(passes).toBeLessThan(32)
    expect(report.acceptedPrediction! + report.rejectedPrediction!).toBe(report.drafted)
    expect(report.acceptedPrediction).toBe(report.accepted)
    expect(report.rejectedPrediction).toBeGreaterThan(0)
  })

  test("a text that has nothing to do with it costs few rows", async () => {
    const { report, rows } = await run(Array.from({ length: 200 }, (_, i) => 39 - (i % 3)))
    expect(report.drafted).toBeLessThan(maxTokens / 3)
    expect(rows).toBeLessThan(1.4 * maxTokens)
  })
})
