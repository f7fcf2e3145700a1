/** Scores of many sequences equal those of each alone, bit for bit, and what they share is read once. */
import { afterAll, beforeAll, expect, test } from "vitest"
import { watched } from "../../test/support/method-harness.ts"
import { type TinyModel, tinyCheckpoint } from "../../test/support/tiny-model.ts"
import { logSumExp64 } from "../../test/support/tiny-runner.ts"
import { loadRunner } from "../runtime/load-runner.ts"
import type { SessionRunner } from "../runtime/model-runner.ts"
import { scoreSequences } from "./score.ts"

const tiny: TinyModel = {
  family: "llama",
  seed: 91,
  hidden: 32,
  heads: 2,
  kvHeads: 1,
  headSize: 16,
  layers: 2,
  intermediate: 64,
  vocabulary: 40,
  context: 400,
}
const never = new AbortController().signal
const prefix = Array.from({ length: 120 }, (_, i) => (i * 7) % 40)
const ends = [
  [1, 2, 3],
  [1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13],
  [9],
  [1, 2],
  [1, 2, 3], // the same again
]
const requests = ends.map((end) => ({ tokens: Int32Array.from([...prefix, ...end]), from: prefix.length }))

let runner: SessionRunner
beforeAll(async () => {
  runner = await loadRunner(tinyCheckpoint(tiny), { weights: "f32", threads: 1, device: "cpu" })
})
afterAll(() => runner.dispose())

test("a tree of sequences over the end of a block scores as each alone, bit for bit", async () => {
  const together = await scoreSequences(runner, requests, never)
  expect(together.map((logprobs) => logprobs.length)).toEqual(ends.map((end) => end.length))
  for (const [i, request] of requests.entries())
    expect(together[i]).toEqual((await scoreSequences(runner, [request], never))[0])
})

test("the numbers are the model's, from logits of a whole pass", async () => {
  const tokens = requests[1]!.tokens
  const pass = await runner.forward({ input: { tokens }, want: { logits: "all" } })
  const [logprobs] = await scoreSequences(runner, [{ tokens, from: 1 }], never)
  for (let at = 1; at < tokens.length; at++) {
    const row = pass.logits!.data.subarray((at - 1) * 40, at * 40)
    expect(logprobs![at - 1]).toBeCloseTo(row[tokens[at]!]! - logSumExp64(row), 12)
  }
})

test("every shared token is read once, the last of a sequence never", async () => {
  const before = runner.ledger.totals()
  const watch = watched(runner)
  await scoreSequences(watch.runner, requests, never)
  // prefix, then "1 2" behind it, then the long one's own nine but the last
  expect(runner.ledger.since(before).rows).toBe(120 + 2 + 9)
  expect(watch.caches.filter((cache) => !cache.disposed)).toEqual([])
})

test("sequences that begin differently", async () => {
  const two = [
    { tokens: Int32Array.of(3, 4, 5), from: 1 },
    { tokens: Int32Array.of(4, 4, 5), from: 2 },
  ]
  const scores = await scoreSequences(runner, two, never)
  expect(scores.map((logprobs) => logprobs.length)).toEqual([2, 1])
})

test("what it refuses, and that abort and failing passes leave no cache behind", async () => {
  const score = (tokens: number[], from: number) =>
    scoreSequences(runner, [{ tokens: Int32Array.from(tokens), from }], never)
  for (const [tokens, from] of [
    [[1], 1],
    [[1, 2], 0],
    [[1, 2], 2],
  ] as const)
    await expect(score([...tokens], from)).rejects.toMatchObject({ code: "E_INPUT" })
  await expect(score(new Array(401).fill(1), 1)).rejects.toMatchObject({ code: "E_CONTEXT_LENGTH" })
  const controller = new AbortController()
  const aborted = watched(runner, (number) => number === 2 && controller.abort())
  await expect(scoreSequences(aborted.runner, requests, controller.signal)).rejects.toMatchObject({ code: "E_ABORTED" })
  expect(aborted.passes).toHaveLength(2)
  const broken = watched(runner, (number) => {
    if (number === 2) throw new Error("the second pass fails")
  })
  await expect(scoreSequences(broken.runner, requests, never)).rejects.toThrow("the second pass fails")
  for (const { caches } of [aborted, broken]) expect(caches.filter((cache) => !cache.disposed)).toEqual([])
})
