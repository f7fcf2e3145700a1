/** Row reductions against slow references, with ties, NaN and infinities. */

import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { argmax, entropy, expNegative, extremes, likeliest, logSumExp, softmaxInto, topK } from "./math.ts"

const RUNTIME = expect.objectContaining({ code: "E_RUNTIME" })
/** Few distinct values, so ties are common. */
const ties = fc
  .array(fc.integer({ min: -3, max: 3 }), { minLength: 1, maxLength: 60 })
  .map((values) => Float64Array.from(values))
const anyRow = fc.oneof(
  ties,
  fc.float32Array({ minLength: 1, maxLength: 60, noNaN: true }),
  fc.float64Array({ minLength: 1, maxLength: 60 }),
)

describe("expNegative", () => {
  it("is within 1e-15 of Math.exp, everywhere below 0, and exact at the ends", () => {
    fc.assert(
      fc.property(fc.double({ min: -708, max: 0, noNaN: true }), (x) => {
        expect(Math.abs(expNegative(x) / Math.exp(x) - 1)).toBeLessThan(1e-15)
      }),
      { numRuns: 5000 },
    )
    expect([0, -0, -Infinity, -746, Number.NaN, 1].map(expNegative)).toEqual([1, 1, 0, 0, Number.NaN, Number.NaN])
    expect(expNegative(-740)).toBe(Math.exp(-740))
  })

  it("never rises as x falls, or ties and orders would be upset", () => {
    let rises = 0
    for (let i = 0; i < 200_000; i++) {
      const x = -i / 5000
      if (expNegative(x - 1e-4) > expNegative(x) || expNegative(x * (1 + 2 ** -51)) > expNegative(x)) rises++
    }
    expect(rises).toBe(0)
  })

  it("gives the bits that recorded runs were made with", () => {
    expect([-1e-9, -0.1, -1, -2.5, -30, -700].map(expNegative)).toMatchInlineSnapshot(`
      [
        0.999999999,
        0.9048374180359596,
        0.36787944117144233,
        0.08208499862389879,
        9.357622968840174e-14,
        9.85967654375977e-305,
      ]
    `)
  })
})

describe("logSumExp", () => {
  it("is exact on small examples and does not overflow", () => {
    expect(logSumExp(Float32Array.of(0, 0, 0, 0))).toBeCloseTo(Math.log(4), 15)
    expect(logSumExp(Float64Array.of(1000, 1000))).toBeCloseTo(1000 + Math.LN2, 12)
    expect(logSumExp(Float64Array.of(-1000, -Infinity))).toBe(-1000)
  })

  it("defines the edges", () => {
    expect(logSumExp(new Float32Array())).toBe(-Infinity)
    expect(logSumExp(Float32Array.of(-Infinity, -Infinity))).toBe(-Infinity)
    expect(logSumExp(Float32Array.of(0, Infinity))).toBe(Infinity)
    expect(logSumExp(Float32Array.of(Number.NaN, 0))).toBeNaN()
    expect(logSumExp(Float32Array.of(Infinity, Number.NaN))).toBeNaN()
  })
})

describe("softmaxInto", () => {
  it("is the softmax, with temperature, also in place", () => {
    const row = Float64Array.of(Math.log(1), Math.log(2), Math.log(5), -Infinity)
    const out = softmaxInto(new Float64Array(4), row)
    for (const [i, expected] of [1 / 8, 2 / 8, 5 / 8, 0].entries()) expect(out[i]).toBeCloseTo(expected, 15)
    expect(softmaxInto(row, row, 0.5)).toBe(row)
    for (const [i, expected] of [1 / 30, 4 / 30, 25 / 30, 0].entries()) expect(row[i]).toBeCloseTo(expected, 15)
  })

  it.each([[[Number.NaN, 1]], [[1, Number.NaN]], [[1, Infinity]], [[-Infinity, -Infinity]], [[]]])(
    "refuses %s, which defines no distribution",
    (values) => {
      expect(() => softmaxInto(new Float64Array(values.length), Float32Array.from(values))).toThrow(RUNTIME)
      expect(() => extremes(Float32Array.from(values))).toThrow(RUNTIME)
    },
  )
})

describe("likeliest", () => {
  it("is the index of the largest, the lowest on ties, wherever it stands", () => {
    expect(likeliest(Float32Array.of(1, 3, 3, 2))).toBe(1)
    expect(likeliest(Float32Array.of(-7))).toBe(0)
    expect(likeliest(Float32Array.of(-0, 0))).toBe(0)
    expect(likeliest(Float32Array.of(0, -0))).toBe(0)
    for (let length = 1; length <= 21; length++)
      for (let at = 0; at < length; at++) {
        const row = new Float32Array(length).fill(-3).fill(-2, at)
        expect(likeliest(row)).toBe(at)
      }
    // Neighbours in float32, in different lanes.
    expect(likeliest(Float32Array.of(1, 1 + 2 ** -23, 1, 1, 1 + 2 ** -23))).toBe(1)
  })

  it("knows banned tokens, and refuses what defines no distribution", () => {
    expect(likeliest(Float32Array.of(-Infinity, -5, -Infinity, -4, -Infinity))).toBe(3)
    for (const values of [[Number.NaN, 1], [5, 1, 1, 1, Number.NaN, 1, 1, 1, 0], [1, Infinity], [-Infinity], []])
      expect(() => likeliest(Float32Array.from(values))).toThrow(RUNTIME)
  })
})

describe("argmax", () => {
  it("takes the lowest index on ties and passes over NaN", () => {
    expect(argmax(Float32Array.of(1, 3, 3, 2))).toBe(1)
    expect(argmax(Float32Array.of(Number.NaN, -5, Number.NaN, -5))).toBe(1)
    expect(argmax(Float32Array.of(Number.NaN, -Infinity, -Infinity))).toBe(1)
    expect(argmax(Float32Array.of(2, Infinity))).toBe(1)
    expect(argmax(Float64Array.of(-0, 0))).toBe(0)
  })

  it("refuses rows without a number", () => {
    expect(() => argmax(Float32Array.of(Number.NaN, Number.NaN))).toThrow(RUNTIME)
    expect(() => argmax(new Float32Array())).toThrow(RUNTIME)
  })

  it("agrees with extremes and with topK", () => {
    fc.assert(
      fc.property(ties, (row) => {
        expect(extremes(row)).toEqual({ max: Math.max(...row), min: Math.min(...row), argmax: argmax(row) })
        expect(topK(row, 1).ids[0]).toBe(argmax(row))
      }),
    )
  })
})

describe("topK", () => {
  it("sorts descending, ties by lowest index", () => {
    expect(topK(Float32Array.of(1, 4, 2, 4, 3, 4), 4)).toEqual({
      ids: Int32Array.of(1, 3, 5, 4),
      values: Float64Array.of(4, 4, 4, 3),
    })
    expect(topK(Float32Array.of(2, 2, 2, 2), 2).ids).toEqual(Int32Array.of(0, 1))
  })

  it("is the head of the full sort for every k", () => {
    fc.assert(
      fc.property(anyRow, fc.integer({ min: 1, max: 70 }), (row, k) => {
        const sorted = Array.from(row.keys())
          .filter((id) => !Number.isNaN(row[id]))
          .sort((a, b) => (row[a] === row[b] ? a - b : row[b]! > row[a]! ? 1 : -1))
        if (sorted.length === 0) return expect(() => topK(row, k)).toThrow(RUNTIME)
        const top = topK(row, k)
        expect(Array.from(top.ids)).toEqual(sorted.slice(0, k))
        expect(Array.from(top.values)).toEqual(sorted.slice(0, k).map((id) => row[id]))
      }),
      { numRuns: 500 },
    )
  })

  it("gives nothing for k = 0, and refuses rows without a number", () => {
    expect(topK(Float32Array.of(1), 0).ids).toHaveLength(0)
    expect(() => topK(Float32Array.of(Number.NaN), 1)).toThrow(RUNTIME)
  })
})

describe("entropy", () => {
  it("is in nats and takes 0 ln 0 as 0", () => {
    expect(entropy(Float64Array.of(0.25, 0.25, 0, 0.25, 0.25))).toBeCloseTo(Math.log(4), 15)
    expect(entropy(Float64Array.of(0, 1))).toBe(0)
    expect(entropy(Float64Array.of(0.5, -0.1))).toBeNaN()
    expect(entropy(Float64Array.of(Number.NaN))).toBeNaN()
  })
})
