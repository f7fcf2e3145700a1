/** DEL on models: the method contract, what it chooses where exits are right and where they are not, and its shadow tokens. */
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { methodContract } from "../../../test/method-contract.ts"
import { type RunSettings, runMethod, watched } from "../../../test/support/method-harness.ts"
import { type TinyModel, tinyCheckpoint } from "../../../test/support/tiny-model.ts"
import { largest } from "../../../test/support/tiny-runner.ts"
import { createSpeculationTally } from "../../decoding/speculation-report.ts"
import type { Step } from "../../decoding/step.ts"
import type { Checkpoint } from "../../models/files/checkpoint.ts"
import { loadRunner } from "../../runtime/load-runner.ts"
import type { SessionRunner } from "../../runtime/model-runner.ts"
import { autoregressive } from "../autoregressive/autoregressive.ts"
import { del, exitsOf } from "./del.ts"
import { createShadowReader } from "./shadow-tokens.ts"

methodContract(del)
describe("as the paper counts and refreshes", () => {
  methodContract(del, { optionSets: [{ length: "planned", costs: "layers", refresh: 1, contextRows: 0 }] })
})

const tiny: TinyModel = {
  family: "llama",
  seed: 77,
  hidden: 32,
  heads: 2,
  kvHeads: 1,
  headSize: 16,
  layers: 6,
  intermediate: 32,
  vocabulary: 40,
  context: 400,
}

/** The same model with layers from `first` on that add nothing: exits behind it are always right. */
function silentFrom(checkpoint: Checkpoint, first: number): Checkpoint {
  const { weights } = checkpoint
  const isSilent = (name: string) => {
    const layer = /layers\.(\d+)\..*(o_proj|down_proj)/.exec(name)?.[1]
    return layer !== undefined && Number(layer) >= first
  }
  return {
    ...checkpoint,
    weights: {
      ...weights,
      raw: (name) => (isSilent(name) ? new Uint8Array(weights.raw(name).length) : weights.raw(name)),
      float32: (name) => (isSilent(name) ? new Float32Array(weights.float32(name).length) : weights.float32(name)),
    },
  }
}

const tallyOf = (steps: readonly Step[]) => {
  const tally = createSpeculationTally()
  for (const step of steps) tally.add(step)
  return tally.report()!
}

describe("what it chooses", () => {
  let stranger: SessionRunner
  let silent: SessionRunner
  beforeAll(async () => {
    const options = { weights: "f32", threads: 1, device: "cpu" } as const
    stranger = await loadRunner(tinyCheckpoint(tiny), options)
    silent = await loadRunner(silentFrom(tinyCheckpoint(tiny), 2), options)
  })
  afterAll(async () => {
    await stranger.dispose()
    await silent.dispose()
  })
  const run = (target: SessionRunner, settings: RunSettings = {}) =>
    runMethod(del, { target }, { maxTokens: 200, ...settings })
  /** The cost of rows is what the paper takes it for. */
  const rows = { cost: () => 1 }

  test("exits that are always right: the lowest of them, long drafts, fewer layers for each token", async () => {
    const before = silent.ledger.totals()
    const { steps, outcome } = await run(silent, { ...rows, options: { contextRows: 5 } })
    const report = tallyOf(steps)
    expect(report.decisions?.[0]).toMatchObject({ from: ["layer 2"], why: "worth-its-rows" })
    expect(report.meanAcceptedLength).toBeGreaterThan(6)
    expect(report.accepted).toBeGreaterThan(0.95 * report.drafted)
    expect(silent.ledger.since(before).layerRows / 6).toBeLessThan(1.15 * 205) // no layer runs a row twice
    const plain = await runMethod(autoregressive, { target: silent }, { maxTokens: 200 })
    expect(outcome).toEqual(plain.outcome)
  })

  test("a planned length drafts that many, confidence or not", async () => {
    const { steps } = await run(silent, { ...rows, options: { length: "planned" } })
    const lengths = steps.flatMap((step) => (step.type === "draft-proposed" ? [step.tree.tokens.length] : []))
    expect(lengths.filter((length) => length === 17).length).toBeGreaterThan(5)
  })

  test("a model that nobody trained for it: it says that drafts do not pay, and makes plain passes", async () => {
    const watch = watched(stranger)
    const { steps } = await runMethod(del, { target: watch.runner }, { maxTokens: 120 })
    const { decisions, rounds } = tallyOf(steps)
    expect(decisions?.[0]).toMatchObject({ from: [], why: "not-worth-its-rows", drafted: 0 })
    expect(decisions![0]!.rounds).toBeGreaterThan(0.7 * rounds)
    const whole = watch.passes.filter(({ layers, input }) => !layers && "tokens" in input && input.tokens.length === 1)
    expect(whole.length).toBeGreaterThan(0.7 * rounds)
    // Trying again becomes rarer: after 8 rounds, then 16, 32, …
    const heads = watch.passes.filter(({ layers }) => layers?.[0] === 6)
    expect(heads.length).toBeLessThan(rounds / 8)
  })

  test("shadow tokens come every `refresh` drafting rounds", async () => {
    const count = async (refresh: number) => {
      const watch = watched(silent)
      const { steps } = await runMethod(
        del,
        { target: watch.runner },
        { ...rows, maxTokens: 300, options: { refresh, length: "planned" } },
      )
      return watch.passes.filter(({ layers }) => layers?.[0] === 6).length / tallyOf(steps).rounds
    }
    expect(await count(4)).toBeLessThan(0.6 * (await count(1)))
  })
})

describe("shadow tokens", () => {
  test("of the exit that drafted are its drafts, of the last layer what verification said, unless they are another row's", async () => {
    const target = await loadRunner(tinyCheckpoint(tiny), { weights: "f32", threads: 1, device: "cpu" })
    const tokens = Int32Array.from([3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7, 9, 3])
    const layers = [1, 3, 6]
    const whole = await target.forward({ input: { tokens }, want: { logits: "all", hidden: [...layers, "final"] } })
    const said = (data: Float32Array) => Array.from(tokens, (_, row) => largest(data.subarray(row * 40, row * 40 + 40)))
    const targets = said(whole.logits!.data)
    const reader = createShadowReader(target, new AbortController().signal)
    const states = new Map(layers.map((layer) => [layer, whole.hidden.get(layer)!.data]))
    const judged = (await reader.read({ states, targets: undefined }))!
    expect([...judged.keys()]).toEqual([1, 3])
    for (const exit of [1, 3]) {
      const alone = await target.forward({ input: { tokens }, layers: [0, exit], want: { logits: "all" } })
      const drafts = said(alone.logits!.data)
      expect(judged.get(exit)!.map(({ matches }) => matches)).toEqual(drafts.map((token, i) => token === targets[i]))
      for (const [row, { confidence }] of judged.get(exit)!.entries()) {
        const logits = alone.logits!.data.subarray(row * 40, row * 40 + 40)
        const mass = logits.reduce((sum, logit) => sum + Math.exp(logit), 0)
        expect(confidence).toBeCloseTo(Math.exp(Math.max(...logits)) / mass, 4)
      }
    }
    // The whole model's own last layer agrees with it everywhere; judged by the row before it does not.
    const own = await reader.read({ states: new Map([[5, states.get(6)!]]), targets })
    expect(own!.get(5)!.every(({ matches }) => matches)).toBe(true)
    const shifted = await reader.read({ states: new Map([[5, states.get(6)!]]), targets: [0, ...targets.slice(0, -1)] })
    expect(shifted!.get(5)!.filter(({ matches }) => matches).length).toBeLessThan(8)
    reader.dispose()
    await target.dispose()
  })
})

test("exits: all of a small model, at most ten of a large one, and none of a model of one layer", () => {
  expect(exitsOf(2, 0)).toEqual([1])
  expect(exitsOf(30, 0)).toEqual([3, 6, 9, 12, 15, 18, 21, 24, 27])
  expect(exitsOf(30, 1)).toHaveLength(29)
  expect(exitsOf(4, 9)).toEqual([3])
  expect(() => exitsOf(1, 0)).toThrow(expect.objectContaining({ code: "E_ABILITY" }))
})
