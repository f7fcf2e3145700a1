/** Recording lines from a real draft model, and what a replay of them says, against decoding itself. */
import { afterAll, beforeAll, expect, test } from "vitest"
import { runMethod } from "../../test/support/method-harness.ts"
import { type TinyModel, tinyCheckpoint } from "../../test/support/tiny-model.ts"
import { greedy } from "../../test/support/tiny-runner.ts"
import { fixedBudget } from "../decoding/draft-budget.ts"
import { createDraftLength } from "../decoding/draft-length.ts"
import { createSpeculationTally } from "../decoding/speculation-report.ts"
import { draftModel } from "../methods/draft-model/draft-model.ts"
import { loadRunner } from "../runtime/load-runner.ts"
import type { SessionRunner } from "../runtime/model-runner.ts"
import { calibration, foreseen, recordAnswer } from "./draft-lines.ts"
import { costPerToken, replay } from "./draft-replay.ts"

const tiny: TinyModel = {
  family: "llama",
  seed: 77,
  hidden: 32,
  heads: 2,
  kvHeads: 1,
  headSize: 16,
  layers: 2,
  intermediate: 64,
  vocabulary: 40,
  context: 400,
}
let target: SessionRunner
let draft: SessionRunner
beforeAll(async () => {
  const open = (model: TinyModel) => loadRunner(tinyCheckpoint(model), { weights: "f32", threads: 1, device: "cpu" })
  target = await open(tiny)
  draft = await open({ ...tiny, layers: 1 }) // half of it: right now and then
})
afterAll(async () => {
  await target.dispose()
  await draft.dispose()
})

test.each(["fixed", "heuristic", "confidence", "cumulative"])(
  "a replay under %s counts what decoding counts",
  async (policy) => {
    const prompt = [3, 1, 4, 1, 5]
    const options = { policy, draftLength: 4, threshold: 0.3 }
    const { steps } = await runMethod(draftModel, { target, draft }, { prompt, options, maxTokens: 60 })
    const tally = createSpeculationTally()
    for (const step of steps) tally.add(step)
    const { rounds, drafted, accepted } = tally.report()!
    const { tokens: answer } = await greedy(target, prompt, 60)
    const recorded = await recordAnswer(draft, { prompt, answer }, 4)
    const counts = replay([recorded], () => createDraftLength(policy, { most: 4, threshold: 0.3, cost: 0.1 }))
    expect(accepted).toBeGreaterThan(3)
    expect(counts).toEqual({ tokens: 59, rounds, drafted, discarded: drafted - accepted })
  },
)

test("an oracle discards nothing and is no dearer than any fixed length", async () => {
  const prompt = [2, 7, 1, 8]
  const { tokens: answer } = await greedy(target, prompt, 60)
  const recorded = await recordAnswer(draft, { prompt, answer }, 8)
  const oracle = replay([foreseen(recorded)], () => fixedBudget(8))
  expect(oracle.discarded).toBe(0)
  for (let length = 1; length <= 8; length++)
    expect(costPerToken(oracle, 0.1)).toBeLessThanOrEqual(
      costPerToken(
        replay([recorded], () => fixedBudget(length)),
        0.1,
      ),
    )
})

test("calibration: shares by bin, and their distance from what was said", () => {
  const said = (predicted: number, times: number, right: number) =>
    Array.from({ length: times }, (_, i) => ({ predicted, happened: i < right }))
  const { error, bins } = calibration([...said(0.25, 100, 25), ...said(0.85, 100, 65)])
  expect(error).toBeCloseTo(0.1, 9)
  expect(bins).toEqual([
    { predicted: expect.closeTo(0.25, 9), happened: 0.25, count: 100 },
    { predicted: expect.closeTo(0.85, 9), happened: 0.65, count: 100 },
  ])
})
