/** Each idea taken away alone, on a job where each is worth something. */
import { expect, test } from "vitest"
import { previewPlan } from "./preview.ts"

test("without sharing more is read, and LRU forgets; order and memory save passes, order only where there is room", () => {
  // 8 documents of 100 tokens, 4 questions each, asked in turn; the last documents have long answers.
  const prompts = Array.from({ length: 32 }, (_, i) =>
    Int32Array.from([...new Array<number>(100).fill(i % 8), 50 + i, 90]),
  )
  const predictedDecode = prompts.map((_, i) => (i % 8 < 6 ? 4 : 60))
  const { logicalTokens, prefill, passes } = previewPlan(prompts, {
    ...{ blockSize: 1, kvBudget: 700, chunk: 64, cap: 4, predictedDecode },
  })
  expect(logicalTokens).toBe(32 * 102)
  const optimum = 8 * 100 + 32 * 2
  expect(prefill).toEqual({
    ...{ none: 32 * 102, firstLevel: optimum, paper: optimum, exact: optimum, anyDepth: optimum },
    lru: expect.any(Number),
  })
  expect(prefill.lru).toBeGreaterThan(2 * optimum) // six documents fit, and eight take turns
  const [all, sharing, order, memory] = passes
  expect(passes.map(({ without }) => without)).toEqual(["nothing", "sharing", "order", "memory"])
  expect([all!.prefillTokens, sharing!.prefillTokens]).toEqual([optimum, 32 * 102])
  for (const fewer of [sharing!, memory!]) expect(fewer.passes).toBeGreaterThan(all!.passes)
  // Long answers first need room beside them: in little memory they keep the others out (§6.4, the bad corner).
  expect(order!.passes).toBeLessThan(all!.passes)
  const roomy = previewPlan(prompts, { blockSize: 1, kvBudget: 1200, chunk: 64, cap: 4, predictedDecode }).passes
  expect(roomy[2]!.passes).toBeGreaterThan(roomy[0]!.passes)
  expect(passes.every(({ peakKv }) => peakKv <= 700)).toBe(true)
})
