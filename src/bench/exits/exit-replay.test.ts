/** Replayed rounds are the rounds of real runs: the same drafts, the same passes. */
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { contextOf, watched } from "../../../test/support/method-harness.ts"
import { type TinyModel, tinyCheckpoint } from "../../../test/support/tiny-model.ts"
import { loadContinuation } from "../../methods/index.ts"
import { loadRunner } from "../../runtime/load-runner.ts"
import type { SessionRunner } from "../../runtime/model-runner.ts"
import { type ExitRound, replayExits } from "./exit-replay.ts"
import { agreementOf, joined, type RecordedExits, recordExits } from "./recorded-exits.ts"

const sizes = { hidden: 32, heads: 2, kvHeads: 1, headSize: 16, layers: 4, intermediate: 32 }
const tiny: TinyModel = {
  family: "llama",
  seed: 77,
  ...sizes,
  vocabulary: 24,
  context: 400,
  more: { eos_token_id: 21 },
}
const prompts = [
  [3, 1, 4, 1, 5],
  [9, 2, 6, 5, 3, 5, 8],
]
const maxTokens = 90
const cost = () => 1
let target: SessionRunner
let records: RecordedExits[]

interface RealRun {
  readonly rounds: ExitRound[]
  readonly answer: readonly number[]
}

/** Rounds of a run on the model itself. */
async function run(name: string, prompt: readonly number[], options: object = {}): Promise<RealRun> {
  const method = await loadContinuation(name)
  const watch = watched(target)
  const settings = { maxTokens, options: { ...options }, cost }
  const context = { ...contextOf(method, { target: watch.runner }, settings), headCost: 0.5 }
  const rounds: ExitRound[] = []
  const answer: number[] = []
  let drafted: number | undefined
  let seen = 0
  for await (const step of method.run({ tokens: Int32Array.from(prompt) }, context)) {
    if (step.type === "draft-proposed") drafted = step.tree.tokens.length
    if (step.type !== "tokens-committed") continue
    answer.push(...step.tokens.map(({ id }) => id))
    const passes = watch.passes.slice(seen).map(({ input, layers: [from, to] = [0, tiny.layers], want }) => {
      const rows = "tokens" in input ? input.tokens.length : ("hidden" in input ? input.hidden.length : 0) / tiny.hidden
      return { rows, from, to, logitRows: want?.logits === "none" ? 0 : want?.logits === "last" ? 1 : rows }
    })
    seen = watch.passes.length
    if (drafted === undefined) continue
    const exit = passes.find(({ from, to }) => from === 0 && to < tiny.layers)?.to
    rounds.push({ tokens: step.tokens.length, drafted, exit, passes })
    drafted = undefined
  }
  return { rounds, answer }
}

const replayed = async (name: string, record: RecordedExits, options: object = {}) => {
  const { tokenizer } = contextOf(await loadContinuation(name), { target }, {})
  const settings = {
    config: { ...target.config, eosTokens: [] }, // the answers run on to their full length
    tokenizer,
    cost,
    headCost: 0.5,
    options: { ...options },
  }
  return replayExits(await loadContinuation(name), record, settings)
}

beforeAll(async () => {
  target = await loadRunner(tinyCheckpoint(tiny), { weights: "f32", threads: 1, device: "cpu" })
  records = []
  for (const prompt of prompts) {
    const { answer } = await run("autoregressive", prompt)
    records.push(await recordExits(target, { source: "test", prompt, answer }, [1, 2, 3]))
  }
})
afterAll(() => target.dispose())

test("what was recorded of the whole model is the answer", () => {
  for (const { said, answer, promptRows } of records)
    expect([...said.get(tiny.layers)!.tokens.subarray(promptRows - 1)]).toEqual(answer)
})

describe("the rounds of a real run, pass by pass", () => {
  test.each([1, 2, 3])("self-speculative, left after layer %i", async (exitLayer) => {
    for (const draftLength of [1, 4])
      for (const [i, prompt] of prompts.entries()) {
        const options = { exitLayer, draftLength }
        const { rounds } = await run("self-speculative", prompt, options)
        expect(await replayed("self-speculative", records[i]!, options)).toEqual(rounds)
        expect(new Set(rounds.map(({ tokens }) => tokens)).size).toBeGreaterThan(1)
      }
  })

  test.each([{ costs: "layers" }, { costs: "layers", refresh: 1, contextRows: 0, omega: 0.6 }, {}])(
    "del with planned lengths, %o",
    async (more) => {
      const options = { length: "planned", ...more }
      for (const [i, prompt] of prompts.entries()) {
        const { rounds } = await run("del", prompt, options)
        expect(await replayed("del", records[i]!, options)).toEqual(rounds)
      }
    },
  )
})

test("a row too early or too late is another model: hardly a draft comes true", async () => {
  const shifted = records.map((record) => ({
    ...record,
    said: new Map(
      [...record.said].map(([layer, said]) => [
        layer,
        layer === tiny.layers ? said : { ...said, tokens: rolled(said.tokens) },
      ]),
    ),
  }))
  const mean = (list: ReadonlyMap<number, number>) =>
    [...list.values()].reduce((sum, share) => sum + share, 0) / list.size
  expect(mean(agreementOf(shifted))).toBeLessThan(0.7 * mean(agreementOf(records)))
})
const rolled = (tokens: Int32Array) => Int32Array.from(tokens, (_, i) => tokens[(i + 1) % tokens.length]!)

test("joined answers: each goes on where the one before ended, with the rows that said its tokens", async () => {
  const whole = joined(records)
  expect(whole.answer).toEqual(records.flatMap(({ answer }) => answer))
  expect([...whole.said.get(tiny.layers)!.tokens.subarray(whole.promptRows - 1)]).toEqual(whole.answer)
  const rounds = await replayed("self-speculative", whole, { exitLayer: 3, draftLength: 2 })
  expect(rounds.reduce((sum, { tokens }) => sum + tokens, 0)).toBe(whole.answer.length - 1)
})
