/** A draft model: the method contract with a stranger and with the target itself; cache arithmetic; its options. */
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { methodContract } from "../../../test/method-contract.ts"
import { chiSquareDeviate, defaultPrompt, runMethod, watched } from "../../../test/support/method-harness.ts"
import { contractModel, type TinyModel, tinyCheckpoint } from "../../../test/support/tiny-model.ts"
import { greedy } from "../../../test/support/tiny-runner.ts"
import { draftLengthPolicies } from "../../decoding/draft-length.ts"
import { createSpeculationTally } from "../../decoding/speculation-report.ts"
import type { Step } from "../../decoding/step.ts"
import { loadRunner } from "../../runtime/load-runner.ts"
import type { SessionRunner } from "../../runtime/model-runner.ts"
import { autoregressive } from "../autoregressive/autoregressive.ts"
import { draftModel } from "./draft-model.ts"

const tiny: TinyModel = { ...contractModel, seed: 900, layers: 1, intermediate: 32 }
const open = (model: TinyModel) => loadRunner(tinyCheckpoint(model), { weights: "f32", threads: 1, device: "cpu" })

const strangers = new Map<number, Promise<SessionRunner>>()
afterAll(async () => {
  for (const runner of strangers.values()) await (await runner).dispose()
})
const sampled = { drafts: "sampled", draftLength: 3 }
const equalInLawOnly = ({ drafts }: Readonly<Record<string, unknown>>) => drafts === "sampled"

describe("drafts by a model that knows nothing of the target", () => {
  methodContract(draftModel, {
    optionSets: [{}, sampled],
    equalInLawOnly,
    async companions({ config: { vocabulary } }) {
      const runner = strangers.get(vocabulary) ?? open({ ...tiny, vocabulary })
      strangers.set(vocabulary, runner)
      return { draft: await runner }
    },
  })
})

describe("drafts by the target itself", () => {
  methodContract(draftModel, {
    optionSets: [{ draftLength: 7 }, sampled],
    equalInLawOnly,
    companions: async (target) => ({ draft: target }),
  })
})

describe("passes and rows", () => {
  let target: SessionRunner
  let stranger: SessionRunner
  beforeAll(async () => {
    target = await open({ ...tiny, seed: 77, layers: 2 })
    stranger = await open({ ...tiny, vocabulary: 48 }) // padded further than the target's
  })
  afterAll(async () => {
    await target.dispose()
    await stranger.dispose()
  })

  const rowsOf = (watch: ReturnType<typeof watched>) =>
    watch.passes.map(({ input }) => ("tokens" in input ? input.tokens.length : 0))
  async function run(draft: SessionRunner, options: Readonly<Record<string, unknown>>, maxTokens = 25) {
    const [targetWatch, draftWatch] = [watched(target), watched(draft)]
    const models = { target: targetWatch.runner, draft: draftWatch.runner }
    const { steps, outcome } = await runMethod(draftModel, models, { options, maxTokens })
    return { steps, outcome, target: rowsOf(targetWatch), draft: rowsOf(draftWatch) }
  }
  const proposed = (steps: readonly Step[]) =>
    steps.flatMap((step) => (step.type === "draft-proposed" ? [step.tree.tokens.length] : []))

  test("all accepted: two tokens are caught up, K + 1 rows are verified, K + 1 tokens are committed", async () => {
    const found = await run(target, { draftLength: 4 }, 26)
    expect(found.target).toEqual([5, 5, 5, 5, 5, 5])
    // Prompt and pending token, three more; then what was not read (the last draft, the bonus), three more.
    expect(found.draft).toEqual([6, 1, 1, 1, ...Array(4).fill([2, 1, 1, 1]).flat()])
    expect(proposed(found.steps)).toEqual([4, 4, 4, 4, 4])
    expect(found.outcome.tokens).toHaveLength(26)
  })

  test("all refused: one token is caught up each time", async () => {
    const found = await run(stranger, { draftLength: 2 }, 6)
    const accepted = found.steps.flatMap((step) => (step.type === "draft-verified" ? [step.accepted] : []))
    expect(accepted.every((count) => count === 0)).toBe(true)
    expect(found.draft.slice(0, 6)).toEqual([6, 1, 1, 1, 1, 1])
  })

  test("every draft is what the draft model says after the committed text, and nothing of refused drafts", async () => {
    const near = await open({ ...tiny, seed: 77, layers: 1 }) // half of the target: right now and then
    const { steps } = await run(near, { draftLength: 3 }, 60)
    const text = [...defaultPrompt]
    const accepted: number[] = []
    for (const step of steps) {
      if (step.type === "tokens-committed") text.push(...step.tokens.map(({ id }) => id))
      if (step.type === "draft-verified") accepted.push(step.accepted)
      if (step.type !== "draft-proposed" || step.tree.tokens.length === 0) continue
      expect(step.tree.tokens).toEqual((await greedy(near, text, step.tree.tokens.length)).tokens)
    }
    expect(new Set(accepted).size).toBeGreaterThan(1)
    await near.dispose()
  })

  test("never drafts more than can be committed", async () => {
    for (const maxTokens of [1, 2, 3, 7]) {
      const found = await run(target, { draftLength: 9 }, maxTokens)
      expect(found.outcome.tokens).toHaveLength(maxTokens)
      expect(found.target.reduce((sum, rows) => sum + rows, 0)).toBe(5 + maxTokens - 1)
    }
  })

  test("a draft model with a shorter context drafts as far as it reaches, then not at all", async () => {
    const short = await open({ ...tiny, seed: 77, layers: 2, context: 16 })
    const found = await run(short, { draftLength: 4 }, 40)
    expect(found.draft.length).toBeGreaterThan(3)
    const plain = await runMethod(autoregressive, { target }, { maxTokens: 40 })
    expect(found.outcome).toEqual(plain.outcome)
    expect(proposed(found.steps).slice(-5)).toEqual([0, 0, 0, 0, 0])
    await short.dispose()
  })

  test.each(draftLengthPolicies)("policy %s: the same tokens, drafts within bounds", async (policy) => {
    const plain = await runMethod(autoregressive, { target }, { maxTokens: 60 })
    for (const draft of [target, stranger]) {
      const found = await run(draft, { policy, draftLength: 6 }, 60)
      expect(found.outcome).toEqual(plain.outcome)
      expect(Math.max(...proposed(found.steps))).toBeLessThanOrEqual(6)
      expect(proposed(found.steps).some((length) => length > 0)).toBe(true)
    }
  })

  test("a policy that looks at confidence drafts less where there is little", async () => {
    const sure = proposed((await run(target, { policy: "confidence", threshold: 0, draftLength: 6 })).steps)
    const unsure = proposed((await run(target, { policy: "confidence", threshold: 1, draftLength: 6 })).steps)
    expect(sure[0]).toBe(6)
    expect(unsure.every((length) => length <= 1)).toBe(true)
  })

  test("sampled drafts are accepted more often than the likeliest, by the same draft model", async () => {
    const near = await open({ ...tiny, seed: 77, layers: 1 }) // half of the target
    const rate = async (drafts: string) => {
      const tally = createSpeculationTally()
      for (let seed = 0; seed < 12; seed++) {
        const settings = { sampling: { temperature: 3 }, seed, options: { drafts, draftLength: 2 }, maxTokens: 60 }
        for (const step of (await runMethod(draftModel, { target, draft: near }, settings)).steps) tally.add(step)
      }
      const { accepted, drafted } = tally.report()!
      return accepted / drafted
    }
    expect(await rate("sampled")).toBeGreaterThan(1.2 * (await rate("likeliest")))
    await near.dispose()
  })

  test("bonus tokens follow the law on their own: after fully accepted drafts, by the draft that led there", async () => {
    const small = { ...tiny, vocabulary: 8 }
    const [target8, draft8] = [await open({ ...small, seed: 78, layers: 2 }), await open(small)]
    const counts = new Map<number, number[]>()
    for (let seed = 0; seed < 1200; seed++) {
      const settings = {
        sampling: { temperature: 1.5 },
        seed,
        options: { drafts: "sampled", draftLength: 1 },
        maxTokens: 3,
      }
      const { steps, outcome } = await runMethod(draftModel, { target: target8, draft: draft8 }, settings)
      const round = steps.find((step) => step.type === "draft-verified")
      if (round?.bonus === undefined) continue
      const path = outcome.tokens[0]!.id * 8 + outcome.tokens[1]!.id
      const row = counts.get(path) ?? Array<number>(8).fill(0)
      row[round.bonus.id]!++
      counts.set(path, row)
    }
    const [path, row] = [...counts].sort(([, a], [, b]) => b.reduce((x, y) => x + y) - a.reduce((x, y) => x + y))[0]!
    const pass = await target8.forward({
      input: { tokens: Int32Array.from([3, 1, 4, 1, 5, Math.floor(path / 8), path % 8]) },
      want: { logits: "last" },
    })
    const weights = Array.from(pass.logits!.data, (logit) => Math.exp(logit / 1.5))
    const total = weights.reduce((sum, weight) => sum + weight, 0)
    expect(row.reduce((sum, count) => sum + count, 0)).toBeGreaterThan(60)
    expect(
      chiSquareDeviate(
        row,
        weights.map((weight) => weight / total),
      ),
    ).toBeLessThan(3.7)
    await target8.dispose()
    await draft8.dispose()
  })
})
