/** Log-probabilities of the raw law. */

import { describe, expect, it } from "vitest"
import { tokenLogprobs } from "./logprobs.ts"

const LOGITS = Float32Array.of(0, 2, 2, -Infinity, 1, -3)
const NORMALISER = Math.log(1 + 2 * Math.exp(2) + Math.exp(1) + Math.exp(-3))

describe("tokenLogprobs", () => {
  it("gives the token's and the likeliest, ties by lowest id", () => {
    const { token, logprob, top } = tokenLogprobs(LOGITS, 4, 3)
    expect(token).toBe(4)
    expect(logprob).toBeCloseTo(1 - NORMALISER, 14)
    expect(top.map((entry) => entry.token)).toEqual([1, 2, 4])
    expect(top[2]!.logprob).toBe(logprob)
  })

  it("sums to one over the vocabulary and knows tokens the model bans", () => {
    const { top } = tokenLogprobs(LOGITS, 0, 6)
    expect(top.reduce((sum, { logprob }) => sum + Math.exp(logprob), 0)).toBeCloseTo(1, 14)
    expect(tokenLogprobs(LOGITS, 3, 0)).toEqual({ token: 3, logprob: -Infinity, top: [] })
  })

  it("stays exact where float32 or a naive softmax would not", () => {
    const logits = Float32Array.of(1000, 900)
    expect(tokenLogprobs(logits, 1, 0).logprob).toBe(-100)
    const small = tokenLogprobs(Float32Array.of(20, 0), 0, 0).logprob
    expect(Math.abs(small + Math.log1p(Math.exp(-20)))).toBeLessThan(1e-14)
  })

  it("refuses what is out of range, and NaN", () => {
    for (const top of [-1, 7, 1.5, Number.NaN]) {
      expect(() => tokenLogprobs(LOGITS, 0, top)).toThrow(expect.objectContaining({ code: "E_OPTION" }))
    }
    for (const token of [-1, 6, 0.5]) {
      expect(() => tokenLogprobs(LOGITS, token, 0)).toThrow(expect.objectContaining({ code: "E_INPUT" }))
    }
    const broken = Float32Array.of(0, Number.NaN)
    expect(() => tokenLogprobs(broken, 0, 0)).toThrow(expect.objectContaining({ code: "E_RUNTIME" }))
  })
})
