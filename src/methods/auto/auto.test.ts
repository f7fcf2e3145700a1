/** The method contract with no draft model, a perfect, an ignorant and a hostile one; what auto says of itself. */
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { methodContract } from "../../../test/method-contract.ts"
import { randomDrafter } from "../../../test/support/drafter-part.ts"
import { defaultPrompt, runMethod } from "../../../test/support/method-harness.ts"
import { contractModel, type TinyModel, tinyCheckpoint } from "../../../test/support/tiny-model.ts"
import { greedy } from "../../../test/support/tiny-runner.ts"
import { createSpeculationTally } from "../../decoding/speculation-report.ts"
import { loadRunner } from "../../runtime/load-runner.ts"
import type { SessionRunner } from "../../runtime/model-runner.ts"
import type { ForwardPass, ModelRunner } from "../../runtime/pass.ts"
import { auto } from "./auto.ts"

const tiny = contractModel
const open = (model: TinyModel) => loadRunner(tinyCheckpoint(model), { weights: "f32", threads: 1, device: "cpu" })

/** Rows nearly for nothing, so that drafts of every kind are verified. */
const cheap = (rows: number) => 1 + 0.01 * (rows - 1)

/** The target with its logits upside down: its likeliest token is the least likely one. */
function hostile(target: ModelRunner): ModelRunner {
  return {
    config: target.config,
    abilities: target.abilities,
    ledger: target.ledger,
    openCache: () => target.openCache(),
    async forward(pass: ForwardPass) {
      const result = await target.forward(pass)
      if (!result.logits) return result
      return { ...result, logits: { ...result.logits, data: result.logits.data.map((logit) => -logit) } }
    },
  }
}

describe("without a draft model", () => {
  methodContract(auto, { optionSets: [{}] })
})

describe("with a hostile draft model and rows nearly for nothing", () => {
  methodContract(cheaply(auto), {
    optionSets: [{ draftLength: 5, treeSize: 9 }],
    companions: async (target) => ({ draft: hostile(target) }),
  })
})

describe("with the target itself and rows nearly for nothing", () => {
  methodContract(cheaply(auto), { companions: async (target) => ({ draft: target }) })
})

describe("with a layer over features that knows nothing, and rows nearly for nothing", () => {
  methodContract(cheaply(auto), {
    optionSets: [{ draftLength: 5, treeSize: 9, layer: true }],
    part: randomDrafter({ span: 1, fusion: "plain" }),
  })
})

describe("with a text that is expected, right up to every sixth token, and rows nearly for nothing", () => {
  methodContract(cheaply(auto), {
    optionSets: [{ draftLength: 9, treeSize: 12 }],
    prediction: async (target) =>
      (await greedy(target as SessionRunner, defaultPrompt, 150)).tokens.map((token, i) => (i % 6 === 5 ? 1 : token)),
  })
})

function cheaply(method: typeof auto): typeof auto {
  return {
    ...method,
    run: (prompt, context) => method.run(prompt, { ...context, cost: cheap, draftCost: 0.01, partCost: 0.01 }),
  }
}

describe("what it does and says", () => {
  let target: SessionRunner
  let stranger: SessionRunner
  beforeAll(async () => {
    target = await open(tiny)
    stranger = await open({ ...tiny, seed: 404, layers: 1 })
  })
  afterAll(async () => {
    await target.dispose()
    await stranger.dispose()
  })

  async function report(draft: ModelRunner | undefined) {
    const models = { target, ...(draft ? { draft } : {}) }
    const { steps } = await runMethod(cheaply(auto), models, { maxTokens: 120 })
    const tally = createSpeculationTally()
    for (const step of steps) tally.add(step)
    return tally.report()!
  }

  test("decisions add up to the rounds, drafts and accepted tokens of the run", async () => {
    for (const draft of [undefined, stranger]) {
      const { decisions = [], rounds, drafted, accepted } = await report(draft)
      const sum = (of: "rounds" | "drafted" | "accepted") => decisions.reduce((total, one) => total + one[of], 0)
      expect([sum("drafted"), sum("accepted")]).toEqual([drafted, accepted])
      expect(sum("rounds")).toBeLessThanOrEqual(rounds) // a round without room is nobody's decision
      expect(sum("rounds")).toBeGreaterThan(rounds - 4)
      expect(accepted).toBeGreaterThan(0)
    }
  })

  test("a draft that is always right is found out, and saves passes", async () => {
    const { meanAcceptedLength, decisions } = await report(target)
    expect(meanAcceptedLength).toBeGreaterThan(4)
    expect(decisions!.some(({ from }) => from.includes("draft-model"))).toBe(true)
  })

  test("an expected text is one of the sources: named, counted, and left where the answer goes another way", async () => {
    const answer = (await greedy(target, defaultPrompt, 120)).tokens
    const run = async (prediction: readonly number[]) => {
      // So small a model soon runs in circles, which copying finds by itself: only the beginning tells.
      const { steps, outcome } = await runMethod(cheaply(auto), { target }, { maxTokens: 30, prediction })
      expect(outcome.tokens.map(({ id }) => id)).toEqual(answer.slice(0, 30))
      const tally = createSpeculationTally()
      for (const step of steps) tally.add(step)
      return tally.report()!
    }
    const right = await run(answer)
    expect(right.decisions!.some(({ from }) => from.includes("prediction"))).toBe(true)
    expect(right.acceptedPrediction).toBeGreaterThan(10)
    expect(right.rejectedPrediction).toBe(0)
    const wrong = await run(answer.map((token) => (token + 1) % 40))
    expect(wrong.rejectedPrediction! + wrong.acceptedPrediction!).toBeLessThan(right.acceptedPrediction!)
    expect(wrong.rounds).toBeGreaterThan(right.rounds)
  })

  test("where a row costs a pass, every step is a plain one", async () => {
    const dear: typeof auto = {
      ...auto,
      run: (prompt, context) => auto.run(prompt, { ...context, cost: (rows) => rows }),
    }
    const { steps } = await runMethod(dear, { target, draft: stranger }, { maxTokens: 100 })
    const trees = steps.flatMap((step) => (step.type === "draft-proposed" ? [step.tree.tokens.length] : []))
    expect(trees).toHaveLength(99)
    expect(Math.max(...trees)).toBe(0)
  })
})
