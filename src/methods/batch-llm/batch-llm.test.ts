/** A batch on a tiny model: plain decoding's tokens whatever the plan, each shared prefix read once, every cache disposed. */
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { contextOf, type RunSettings, runMethod, watched } from "../../../test/support/method-harness.ts"
import { randomTokens, tinyCheckpoint } from "../../../test/support/tiny-model.ts"
import { loadRunner } from "../../runtime/load-runner.ts"
import type { SessionRunner } from "../../runtime/model-runner.ts"
import type { ModelRunner } from "../../runtime/pass.ts"
import { autoregressive } from "../autoregressive/autoregressive.ts"
import { type BatchInput, batchLlm } from "./batch-llm.ts"

let target: SessionRunner
beforeAll(async () => {
  const sizes = { hidden: 32, heads: 2, kvHeads: 1, headSize: 16, layers: 2, intermediate: 48, vocabulary: 40 }
  const checkpoint = tinyCheckpoint({ family: "llama", seed: 21, context: 400, ...sizes })
  target = await loadRunner(checkpoint, { weights: "q8", threads: 1, device: "cpu" })
})
afterAll(() => target.dispose())

/** Two prefixes that cross a block's end, three and two questions each; a duplicate; one that shares nothing. */
const prefixes = [randomTokens(150, 40, 1), randomTokens(70, 40, 2)]
const prompts = [
  [...prefixes[0]!, 1, 2],
  [...prefixes[1]!, 9],
  [5, 5, 5],
  [...prefixes[0]!, 3],
  [...prefixes[1]!, 8, 7],
  [...prefixes[0]!, 3],
]
const input: BatchInput = { requests: prompts.map((tokens) => ({ tokens, maxTokens: 8 })) }

async function runBatch(settings: RunSettings = {}, runner: ModelRunner = target, given = input) {
  const context = contextOf(batchLlm as never, { target: runner }, settings)
  const run = batchLlm.run(given, { ...context, inner: { method: autoregressive, options: {} } })
  const steps = []
  for (;;) {
    const next = await run.next()
    if (next.done) return { steps, ...next.value }
    steps.push(next.value)
  }
}

const ids = (completions: readonly { tokens: readonly { id: number }[] }[]) =>
  completions.map(({ tokens }) => tokens.map(({ id }) => id))

describe.each(["exact", "paper", "first-level", "none"])("plan %s", (plan) => {
  test("answers are plain decoding's, log-probabilities included, and so is what is read", async () => {
    const plain = []
    for (const prompt of prompts)
      plain.push((await runMethod(autoregressive, { target }, { prompt, maxTokens: 8, logprobs: 2 })).outcome)
    const before = target.ledger.totals()
    const batch = await runBatch({ options: { plan }, logprobs: 2 })
    expect(batch.completions).toEqual(plain)
    const decoded = plain.reduce((total, { tokens }) => total + tokens.length - 1, 0)
    expect(batch.prefillTokens).toBe(batch.plan.physicalTokens)
    expect(target.ledger.since(before).rows).toBe(batch.plan.physicalTokens + decoded)
  })
})

test("what is saved is the optimum: each shared prefix is read once", async () => {
  const { plan } = await runBatch()
  expect(plan.logicalTokens).toBe(152 + 71 + 3 + 151 + 72 + 151)
  expect(plan.physicalTokens).toBe(150 + 4 + 70 + 3 + 3)
})

test("sampled answers do not depend on plan or order, and differ from one another", async () => {
  const sampling = { temperature: 1.5 }
  const exact = await runBatch({ sampling })
  for (const options of [{ plan: "none" }, { order: "arrival" }, { blockSize: 16 }])
    expect((await runBatch({ sampling, options })).completions).toEqual(exact.completions)
  expect(ids(exact.completions)[3]).not.toEqual(ids(exact.completions)[5]) // the duplicates draw numbers of their own
})

test("steps, replayed, give each branch's answer", async () => {
  const { steps, completions } = await runBatch()
  const replayed: number[][] = prompts.map(() => [])
  for (const step of JSON.parse(JSON.stringify(steps)) as typeof steps)
    if (step.type === "tokens-committed")
      for (const [i, position] of step.positions.entries())
        replayed[step.branch]![position - prompts[step.branch]!.length] = step.tokens[i]!.id
  expect(replayed).toEqual(ids(completions))
})

test("abort: no pass begins after it; every cache is disposed then, at the end, on failure, and when the caller leaves", async () => {
  const total = watched(target)
  await runBatch({}, total.runner)
  expect(total.caches.every(({ disposed }) => disposed)).toBe(true)
  for (const at of [1, 2, 3, 10, 30]) {
    const controller = new AbortController()
    const watch = watched(target, (number) => number === at && controller.abort())
    const { completions } = await runBatch({ signal: controller.signal }, watch.runner)
    expect(watch.passes).toHaveLength(at)
    expect(completions.filter(({ reason }) => reason === "abort").length).toBeGreaterThan(0)
    expect(watch.caches.every(({ disposed }) => disposed)).toBe(true)
    const broken = watched(target, (number) => {
      if (number === at) throw new Error("a pass fails")
    })
    await expect(runBatch({}, broken.runner)).rejects.toThrow("a pass fails")
    expect(broken.caches.every(({ disposed }) => disposed)).toBe(true)
  }
  const left = watched(target)
  const context = contextOf(batchLlm as never, { target: left.runner }, {})
  const run = batchLlm.run(input, { ...context, inner: { method: autoregressive, options: {} } })
  for (let next = await run.next(); !next.done && next.value.type !== "tokens-committed"; ) next = await run.next()
  await run.return(undefined as never)
  expect(left.caches.length).toBeGreaterThan(1)
  expect(left.caches.every(({ disposed }) => disposed)).toBe(true)
})

test("a prefix is freed with its last member, not its first", async () => {
  const watch = watched(target)
  const context = contextOf(batchLlm as never, { target: watch.runner }, { options: { order: "arrival" } })
  const run = batchLlm.run(input, { ...context, inner: { method: autoregressive, options: {} } })
  let ended = 0
  for (let next = await run.next(); !next.done; next = await run.next()) {
    if (next.value.type !== "branch-ended") continue
    if (++ended < 3) expect(watch.caches[0]!.disposed).toBe(false)
  }
  expect(watch.caches[0]!.disposed).toBe(true)
})

test("an empty prompt and one without room for an answer are refused", async () => {
  const refused = (tokens: number[]) => runBatch({}, target, { requests: [{ tokens: [1, 2] }, { tokens }] })
  await expect(runBatch({}, target, {} as never)).rejects.toMatchObject({ code: "E_INPUT" })
  await expect(refused([-1])).rejects.toMatchObject({ code: "E_INPUT" })
  await expect(refused([])).rejects.toMatchObject({ code: "E_INPUT" })
  await expect(refused(randomTokens(400, 40, 3))).rejects.toMatchObject({ code: "E_CONTEXT_LENGTH" })
})
