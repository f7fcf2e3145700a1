/** SpecDec++: the method contract with heads that know nothing; what ends a draft; parts that do not fit. */
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { methodContract } from "../../../test/method-contract.ts"
import { runMethod, watched } from "../../../test/support/method-harness.ts"
import { openTestPart, type TestPart } from "../../../test/support/test-part.ts"
import { type TinyModel, tinyCheckpoint } from "../../../test/support/tiny-model.ts"
import { projectionName, vocabularyName } from "../../decoding/drafters/small-model.ts"
import type { Step } from "../../decoding/step.ts"
import { loadRunner } from "../../runtime/load-runner.ts"
import type { SessionRunner } from "../../runtime/model-runner.ts"
import { autoregressive } from "../autoregressive/autoregressive.ts"
import { draftModel } from "../draft-model/draft-model.ts"
import { headTensors } from "./acceptance-head.ts"
import { specdecPlusPlus } from "./specdec-plus-plus.ts"
import { randomHead, randomSmallModel } from "./test-weights.ts"

const recipe = { depth: 3 }
const sampled = { drafts: "sampled", threshold: 0.9, draftLength: 4 }
const equalInLawOnly = ({ drafts }: Readonly<Record<string, unknown>>) => drafts === "sampled"

describe("a small model of its own, untrained", () => {
  methodContract(specdecPlusPlus, {
    optionSets: [{}, sampled],
    equalInLawOnly,
    part: ({ config }) => ({ tensors: new Map([...randomSmallModel(config), ...randomHead(32, 3)]), recipe }),
  })
})

describe("the target itself as the draft model", () => {
  methodContract(specdecPlusPlus, {
    optionSets: [{ threshold: 0.4, draftLength: 7 }],
    companions: async (target) => ({ draft: target }),
    part: ({ config }) => ({ tensors: randomHead(config.hidden, 3, { tied: true }), recipe }),
  })
})

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

describe("drafts", () => {
  let target: SessionRunner
  beforeAll(async () => {
    target = await loadRunner(tinyCheckpoint(tiny), { weights: "f32", threads: 1, device: "cpu" })
  })
  afterAll(() => target.dispose())
  const open = (part: TestPart) => openTestPart(specdecPlusPlus, tinyCheckpoint(tiny), () => part)
  const lengths = (steps: readonly Step[]) =>
    steps.flatMap((step) => (step.type === "draft-proposed" ? [step.tree.tokens.length] : []))

  /** A head that always says the same. */
  const constantHead = (chance: number) => {
    const tensors = randomHead(32, 0)
    tensors.set(headTensors.out, { shape: [2, 32], values: new Float32Array(64) })
    tensors.set(headTensors.outBias, {
      shape: [2],
      values: Float32Array.of(0, Math.log(chance / (1 - chance))),
    })
    return { tensors, recipe: { depth: 0 } }
  }

  test("a head that always says 0.8 is a fixed length of 5 at threshold 0.5, step by step", async () => {
    const part = await open(constantHead(0.8))
    const models = { target, draft: target }
    const found = await runMethod(specdecPlusPlus, models, { part, options: { threshold: 0.5 }, maxTokens: 60 })
    const fixed = await runMethod(draftModel, models, { options: { draftLength: 5 }, maxTokens: 60 })
    expect(found).toEqual(fixed)
    expect(lengths(found.steps).slice(0, 9)).toEqual(Array(9).fill(5))
    await part.dispose()
  })

  test("threshold 1 is the longest draft whatever the head says, threshold 0 the shortest", async () => {
    const part = await open({ tensors: randomHead(32, 3), recipe })
    const models = { target, draft: target }
    const run = (options: Readonly<Record<string, unknown>>) =>
      runMethod(specdecPlusPlus, models, { part, options, maxTokens: 60 })
    expect(await run({ threshold: 1, draftLength: 6 })).toEqual(
      await runMethod(draftModel, models, { options: { draftLength: 6 }, maxTokens: 60 }),
    )
    const short = lengths((await run({ threshold: 0, shortest: 3 })).steps)
    expect(short.slice(0, -2).every((length) => length === 3)).toBe(true)
    await part.dispose()
  })

  test("a small model drafts its own vocabulary only, and reads what is new only", async () => {
    const tensors = new Map([...randomSmallModel(target.config), ...randomHead(32, 3)])
    const part = await open({ tensors, recipe })
    const { steps, outcome } = await runMethod(specdecPlusPlus, { target }, { part, maxTokens: 40 })
    const tokens = steps.flatMap((step) => (step.type === "draft-proposed" ? step.tree.tokens : []))
    expect(tokens.length).toBeGreaterThan(20)
    expect(tokens.filter((token) => token % 2 === 1)).toEqual([])
    expect(outcome).toEqual((await runMethod(autoregressive, { target }, { maxTokens: 40 })).outcome)
    await part.dispose()
  })

  test("the caller's draft model goes before the part's own", async () => {
    const part = await open({ tensors: new Map([...randomSmallModel(target.config), ...randomHead(32, 3)]), recipe })
    const watch = watched(target)
    await runMethod(specdecPlusPlus, { target, draft: watch.runner }, { part })
    expect(watch.passes.length).toBeGreaterThan(5)
    await part.dispose()
  })

  test("a head without a draft model, and one of another width: E_DRAFT", async () => {
    const alone = await open({ tensors: randomHead(32, 1), recipe: { depth: 1 } })
    await expect(runMethod(specdecPlusPlus, { target }, { part: alone })).rejects.toMatchObject({ code: "E_DRAFT" })
    const wide = await open({ tensors: randomHead(48, 1), recipe: { depth: 1 } })
    await expect(runMethod(specdecPlusPlus, { target, draft: target }, { part: wide })).rejects.toMatchObject({
      code: "E_DRAFT",
      message: expect.stringContaining("48"),
    })
  })

  test.each([
    ["a tensor is missing", "draft.model.norm.weight", undefined],
    ["a layer has another width", "draft.model.layers.1.self_attn.o_proj.weight", { shape: [32, 16] }],
    ["the projection is of another target", projectionName, { shape: [32, 48] }],
    ["an id is outside the vocabulary", vocabularyName, { shape: [2], values: Float32Array.of(3, 40) }],
    ["ids do not ascend", vocabularyName, { shape: [2], values: Float32Array.of(3, 3) }],
    ["an id is no whole number", vocabularyName, { shape: [2], values: Float32Array.of(3, 4.5) }],
  ])("a part whose %s: E_MODEL_FORMAT", async (_, name, other) => {
    const tensors = new Map([...randomSmallModel(target.config), ...randomHead(32, 3)])
    if (other) tensors.set(name, { values: new Float32Array(other.shape.reduce((n, dim) => n * dim, 1)), ...other })
    else tensors.delete(name)
    await expect(open({ tensors, recipe })).rejects.toMatchObject({ code: "E_MODEL_FORMAT" })
  })
})
