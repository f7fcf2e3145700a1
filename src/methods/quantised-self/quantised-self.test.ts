/** The target's own weights as the drafter: the method contract, and that a copy agrees as no stranger does. */
import { afterAll, expect, test } from "vitest"
import { methodContract } from "../../../test/method-contract.ts"
import { runMethod } from "../../../test/support/method-harness.ts"
import { contractModel, type TinyModel, tinyCheckpoint } from "../../../test/support/tiny-model.ts"
import { resolveOptions } from "../../decoding/options.ts"
import { createSpeculationTally } from "../../decoding/speculation-report.ts"
import type { WeightFormat } from "../../models/formats.ts"
import { loadRunner } from "../../runtime/load-runner.ts"
import type { SessionRunner } from "../../runtime/model-runner.ts"
import { quantisedSelf } from "./quantised-self.ts"

const tiny = contractModel
const open = (model: TinyModel, weights: WeightFormat) =>
  loadRunner(tinyCheckpoint(model), { weights, threads: 1, device: "cpu" })

const copies = new Map<number, Promise<SessionRunner>>()
afterAll(async () => {
  for (const copy of copies.values()) await (await copy).dispose()
})

methodContract(quantisedSelf, {
  async companions({ config: { vocabulary } }) {
    // The contract's models have seeds 77 and, with 8 tokens, 78.
    const copy = copies.get(vocabulary) ?? open({ ...tiny, vocabulary, seed: vocabulary === 8 ? 78 : 77 }, "q4")
    copies.set(vocabulary, copy)
    return { draft: await copy }
  },
})

test("the format is an option, and one that the engine knows", () => {
  const format = (given: Record<string, unknown>) => quantisedSelf.ownDraft!(resolveOptions(quantisedSelf, given))
  expect(format({})).toBe("q4")
  expect(format({ weights: "q8" })).toBe("q8")
  expect(() => format({ weights: "q3" })).toThrow(expect.objectContaining({ code: "E_OPTION" }))
})

test("the copies agree with float32 many times as often as a stranger", async () => {
  const target = await open(tiny, "f32")
  const accepted = async (model: TinyModel, weights: WeightFormat) => {
    const draft = await open(model, weights)
    const settings = { maxTokens: 150, options: { policy: "fixed" } }
    const { steps } = await runMethod(quantisedSelf, { target, draft }, settings)
    const tally = createSpeculationTally()
    for (const step of steps) tally.add(step)
    await draft.dispose()
    return tally.report()!.accepted / tally.report()!.drafted
  }
  const stranger = await accepted({ ...tiny, seed: 5 }, "q8")
  // The tiny models' logits are nearly flat, so even one bit too few turns some tokens.
  for (const weights of ["q8", "q4"] as const) expect(await accepted(tiny, weights)).toBeGreaterThan(3 * stranger + 0.1)
  expect(await accepted(tiny, "f32")).toBe(1)
  await target.dispose()
})
