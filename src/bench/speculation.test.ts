/** Pooling of drafts over answers, predictions, and answers that go round in circles. */
import { expect, test } from "vitest"
import { isLoop } from "../decoding/loops.ts"
import type { GenerateResult } from "../generate/types.ts"
import { poolSpeculation, predictedSpeedup, unmodelled } from "./speculation.ts"

const answer = (histogram: number[], drafted: number) => {
  const rounds = histogram.reduce((sum, count) => sum + count, 0)
  const accepted = histogram.reduce((sum, count, i) => sum + count * i, 0)
  const speculation = { rounds, drafted, accepted, meanAcceptedLength: (rounds + accepted) / rounds, histogram }
  return { speculation } as unknown as GenerateResult
}
const plain = {} as GenerateResult

test("rounds are pooled, so a long answer counts for more than a short one", () => {
  const pooled = poolSpeculation([answer([8, 2], 12), plain, answer([0, 0, 90], 270)])!
  expect(pooled).toMatchObject({ rounds: 100, drafted: 282, accepted: 182, histogram: [8, 2, 90] })
  expect(pooled.meanAcceptedLength).toBeCloseTo(2.82, 12) // the mean of 1.2 and 3 would be 2.1
  expect(pooled.byPosition).toEqual([0.92, 0.9])
  expect(poolSpeculation([plain])).toBeUndefined()
})

test("the prediction is tokens over cost", () => {
  const curve = { rows: [1, 2, 4], milliseconds: [10, 12, 16], context: 64 }
  const { speculation } = answer([5, 5], 20) // rounds of three rows: 1.4 passes for 1.5 tokens
  expect(predictedSpeedup(curve, speculation!)).toBeCloseTo(1.5 / 1.4, 12)
  expect(unmodelled(1.5, 1.4, 0)).toEqual([])
  expect(unmodelled(1.5, 1.2, 0)).not.toContain("passes of the draft model")
})

test("twelve tokens in a row that occur three times are a loop", () => {
  const phrase = Array.from({ length: 12 }, (_, i) => i)
  expect(isLoop([...phrase, ...phrase, ...phrase])).toBe(true)
  expect(isLoop([...phrase, 99, ...phrase, 98, 97, ...phrase])).toBe(true)
  expect(isLoop([...phrase, ...phrase, ...phrase.slice(1)])).toBe(false)
  expect(isLoop(Array.from({ length: 14 }, () => 7))).toBe(true)
  expect(isLoop(Array.from({ length: 13 }, () => 7))).toBe(false)
  expect(isLoop([])).toBe(false)
})
