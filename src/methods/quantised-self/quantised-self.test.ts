/** The target's own weights as the drafter: the method contract, and that a cheaper copy agrees nearly always. */
import { afterAll, expect, test } from "vitest"
import { methodContract } from "../../../test/method-contract.ts"
import { runMethod } from "../../../test/support/method-harness.ts"
import { type TinyModel, tinyCheckpoint } from "../../../test/support/tiny-model.ts"
import { resolveOptions } from "../../decoding/options.ts"
import { createSpeculationTally } from "../../decoding/speculation-report.ts"
import type { WeightFormat } from "../../models/formats.ts"
import { loadRunner } from "../../runtime/load-runner.ts"
import type { SessionRunner } from "../../runtime/model-runner.ts"
import { quantisedSelf } from "./quantised-self.ts"

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

test("8 bits agree with float32 more often than 4 bits, and both more often than a stranger", async () => {
  const target = await open(tiny, "f32")
  const accepted = async (draft: SessionRunner) => {
    const { steps } = await runMethod(
      quantisedSelf,
      { target, draft },
      { maxTokens: 150, options: { policy: "fixed" } },
    )
    const tally = createSpeculationTally()
    for (const step of steps) tally.add(step)
    await draft.dispose()
    return tally.report()!.accepted / tally.report()!.drafted
  }
  const [eight, four] = [await accepted(await open(tiny, "q8")), await accepted(await open(tiny, "q4"))]
  expect(eight).toBeGreaterThan(0.9)
  expect(four).toBeLessThan(eight)
  expect(await accepted(await open({ ...tiny, seed: 5 }, "q8"))).toBeLessThan(four)
  await target.dispose()
})
