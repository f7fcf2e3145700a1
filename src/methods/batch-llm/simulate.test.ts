/** Simulated batching against the reference's passes, and the laws of memory. */
import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { type PlannedGroup, planBatch } from "./plan.ts"
import { simulate } from "./simulate.ts"

/** Prompts that share nothing: [prefill, decode] each. */
const alone = (requests: readonly (readonly [number, number])[], order: "arrival" | "ratio" = "arrival") =>
  planBatch(
    requests.map(([prefill], id) => Array.from({ length: prefill }, (_, i) => id * 1000 + i)),
    { order, predictedDecode: requests.map(([, decode]) => decode) },
  ).groups

describe("golden S1: A(8,2) B(2,8) C(8,2) D(2,8), 8 tokens a pass", () => {
  const requests = [
    [8, 2],
    [2, 8],
    [8, 2],
    [2, 8],
  ] as const
  const first = alone(requests)
  const descending = alone(requests, "ratio")
  const tokens = (groups: readonly PlannedGroup[], more = {}) =>
    simulate(groups, { chunk: 8, ...more }).tokensPerIteration

  test("first come: 11 passes; most decoding first: 9; most decoding last: 11", () => {
    expect(tokens(first, { kvBudget: 1000 })).toEqual([8, 8, 7, 3, 3, 2, 2, 2, 2, 2, 1])
    expect(tokens(descending, { kvBudget: 1000 })).toEqual([8, 8, 8, 4, 3, 3, 2, 2, 2])
    expect(tokens([...descending].sort((a, b) => a.ratio - b.ratio))).toEqual([8, 8, 6, 3, 3, 2, 2, 2, 2, 2, 2])
  })

  test("memory for 20 positions: 16 and 14 passes", () => {
    expect(tokens(first, { kvBudget: 20 })).toHaveLength(16)
    expect(tokens(descending, { kvBudget: 20 })).toHaveLength(14)
  })

  test("two sequences at a time: 16 and 14 passes", () => {
    expect(tokens(first, { maxSequences: 2 })).toEqual([8, 3, 2, 8, 2, 2, 2, 3, 2, 2, 1, 1, 1, 1, 1, 1])
    expect(tokens(descending, { maxSequences: 2 })).toEqual([4, 2, 2, 2, 2, 2, 2, 2, 2, 8, 8, 2, 1, 1])
  })
})

describe("groups", () => {
  const prompts = [1, 2, 3].map((i) => [...new Array<number>(10).fill(7), 100 + i])

  test("the prefix is read once, before its members, and held until the last is done", () => {
    const { groups } = planBatch(prompts, { predictedDecode: [1, 2, 5] })
    const run = simulate(groups, { chunk: 12 })
    expect(run.tokensPerIteration).toEqual([10, 3, 3, 2, 1, 1, 1])
    expect(run.prefillTokens).toBe(13)
    expect(run.peakKv).toBe(10 + 3 + 3) // all three are there after their first token
  })

  test("a sequence that can never fit is an error, not an endless loop", () => {
    const { groups } = planBatch(prompts, { predictedDecode: 20 })
    const small = () => simulate(groups, { chunk: 8, kvBudget: 30 })
    expect(small).toThrow(expect.objectContaining({ code: "E_INPUT" }))
    expect(simulate(groups, { chunk: 8, kvBudget: 31 }).prefillTokens).toBe(13)
    expect(() => simulate(groups, { chunk: 0 })).toThrow(expect.objectContaining({ code: "E_OPTION" }))
  })

  test("any job: memory stays in its budget, and every token is read and decoded once", () => {
    const request = fc.tuple(fc.array(fc.integer({ min: 0, max: 1 }), { minLength: 1, maxLength: 12 }), fc.nat(9))
    fc.assert(
      fc.property(fc.array(request, { minLength: 1, maxLength: 12 }), fc.integer({ min: 1, max: 9 }), (job, chunk) => {
        const plan = planBatch(
          job.map(([tokens]) => tokens),
          { predictedDecode: job.map(([, decode]) => decode) },
        )
        const kvBudget = 34 // the longest prefix, suffix and answer
        const run = simulate(plan.groups, { chunk, kvBudget })
        const decoded = job.reduce((total, [, decode]) => total + decode, 0)
        expect(run.peakKv).toBeLessThanOrEqual(kvBudget)
        expect(run.prefillTokens).toBe(plan.physicalTokens)
        expect(run.tokensPerIteration.reduce((total, tokens) => total + tokens, 0)).toBe(plan.physicalTokens + decoded)
      }),
    )
  })
})

test("200 requests: a memory budget fills passes that a cap of 32 leaves empty; order alone is worth less", () => {
  let state = 11
  const random = (low: number, high: number) => {
    state = (state * 1103515245 + 12345) % 2 ** 31
    return low + Math.floor((state / 2 ** 31) * (high - low))
  }
  const requests = Array.from({ length: 200 }, () => [random(16, 1024), random(16, 512)] as const)
  const cost = (order: "arrival" | "ratio", maxSequences?: number) =>
    simulate(alone(requests, order), {
      chunk: 512,
      kvBudget: 120_000,
      passCost: (tokens) => Math.max(1, tokens / 156),
      ...(maxSequences === undefined ? {} : { maxSequences }),
    }).cost
  expect(cost("ratio")).toBeLessThan(0.85 * cost("arrival", 32))
  expect(cost("ratio")).toBeLessThan(cost("arrival"))
})
