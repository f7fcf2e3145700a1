/** Reading a prompt: chunks that end where blocks end, progress, abort between chunks, logits of the last row only. */
import { afterAll, beforeAll, expect, test } from "vitest"
import { watched } from "../../test/support/method-harness.ts"
import { randomTokens, tinyCheckpoint } from "../../test/support/tiny-model.ts"
import { cacheOf } from "../../test/support/tiny-runner.ts"
import { loadRunner } from "../runtime/load-runner.ts"
import type { SessionRunner } from "../runtime/model-runner.ts"
import { prefill } from "./prefill.ts"
import type { Step } from "./step.ts"

const tokens = Int32Array.from(randomTokens(300, 40, 1))
let target: SessionRunner
beforeAll(async () => {
  const sizes = { hidden: 32, heads: 2, kvHeads: 1, headSize: 16, layers: 1, intermediate: 32, vocabulary: 40 }
  const checkpoint = tinyCheckpoint({ family: "llama", seed: 8, ...sizes })
  target = await loadRunner(checkpoint, { weights: "f32", threads: 1, device: "cpu" })
})
afterAll(() => target.dispose())

async function read(before: number, count: number, abortAt?: number) {
  const controller = new AbortController()
  const watch = watched(target, (number) => number === abortAt && controller.abort())
  const cache = await cacheOf(target, [...tokens.subarray(0, before)])
  const run = prefill(watch.runner, cache, tokens.subarray(before, before + count), { signal: controller.signal })
  const steps: Step[] = []
  for (;;) {
    const next = await run.next()
    const sizes = watch.passes.map(({ input }) => ("tokens" in input ? input.tokens.length : 0))
    if (next.done)
      return { logits: next.value, steps, sizes, cache, wants: watch.passes.map(({ want }) => want?.logits) }
    steps.push(next.value)
  }
}

test.each([
  [0, 1, [1]],
  [0, 128, [128]],
  [0, 129, [128, 1]],
  [0, 300, [128, 128, 44]],
  [100, 200, [28, 128, 44]],
  [128, 5, [5]],
  [127, 2, [1, 1]],
])("after %i cached, %i tokens in chunks of %j", async (before, count, expected) => {
  const { sizes, cache, logits, wants } = await read(before, count)
  expect(sizes).toEqual(expected)
  expect(cache.length).toBe(before + count)
  expect(wants).toEqual([...expected.slice(1).map(() => "none"), "last"])
  const whole = await target.forward({
    input: { tokens: tokens.subarray(0, before + count) },
    want: { logits: "last" },
  })
  expect(logits).toEqual(whole.logits!.data)
})

test("long prompts report how far they are, short ones do not", async () => {
  expect((await read(0, 300)).steps).toEqual(
    [128, 256, 300].map((read) => ({ type: "prompt-read", tokens: read, total: 300 })),
  )
  expect((await read(0, 128)).steps).toEqual([])
})

test("abort waits for one chunk at most and leaves no logits", async () => {
  const { sizes, logits, cache } = await read(0, 300, 2)
  expect(sizes).toEqual([128, 128])
  expect(logits).toBeUndefined()
  expect(cache.length).toBe(256)
  expect((await read(0, 300, 3)).logits).toBeUndefined() // in the last one too
})
