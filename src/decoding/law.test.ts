/** Laws: normalisation, lookup, and the inverse of the cumulative distribution at its edges. */

import { chiSquaredDistributionTable } from "simple-statistics"
import { describe, expect, it } from "vitest"
import { createRandom } from "../tensor/random.ts"
import { createLaw, drawFrom, pointLaw } from "./law.ts"

const NEARLY_ONE = 1 - 2 ** -53

describe("createLaw", () => {
  it("normalises, drops zeros and copies", () => {
    const weights = Float64Array.of(1, 0, 3)
    const law = createLaw(Int32Array.of(2, 4, 9), weights)
    weights[0] = 100
    expect(law.ids).toEqual(Int32Array.of(2, 9))
    expect(law.probs).toEqual(Float64Array.of(0.25, 0.75))
    expect([2, 4, 9, 0, 10, -1].map((id) => law.prob(id))).toEqual([0.25, 0, 0.75, 0, 0, 0])
  })

  it("drops weights that vanish only when divided", () => {
    expect(createLaw(Int32Array.of(0, 1), Float64Array.of(5e-324, 2)).ids).toEqual(Int32Array.of(1))
  })

  it.each([[[0, 0]], [[-1, 2]], [[Number.NaN, 1]], [[Infinity, 1]], [[1]], [[]]])(
    "refuses the weights %s for two ids",
    (weights) => {
      const create = () => createLaw(Int32Array.of(0, 1), Float64Array.from(weights))
      expect(create).toThrow(expect.objectContaining({ code: "E_RUNTIME" }))
    },
  )
})

describe("drawFrom", () => {
  const law = createLaw(Int32Array.of(1, 3, 4), Float64Array.of(0.25, 0.5, 0.25))

  it("goes through ids in ascending order; a cell holds its left edge", () => {
    expect([0, 0.2499, 0.25, 0.7499, 0.75, NEARLY_ONE].map((uniform) => drawFrom(law, uniform))).toEqual([
      1, 1, 3, 3, 4, 4,
    ])
  })

  it("never leaves the support, even where rounding leaves the sum below the number drawn", () => {
    const sixths = createLaw(Int32Array.of(0, 1, 2, 3, 4, 5), new Float64Array(6).fill(1))
    expect(sixths.probs.reduce((sum, prob) => sum + prob, 0)).toBe(NEARLY_ONE)
    expect(drawFrom(sixths, NEARLY_ONE)).toBe(5)
    expect(drawFrom(createLaw(Int32Array.of(2, 5), Float64Array.of(1, 0)), NEARLY_ONE)).toBe(2)
    expect(drawFrom(createLaw(Int32Array.of(2, 5), Float64Array.of(0, 1)), 0)).toBe(5)
    expect(drawFrom(pointLaw(7), NEARLY_ONE)).toBe(7)
  })

  it("follows the law (chi-square, seeded)", () => {
    const random = createRandom(1)
    const count = 20_000
    const seen = new Map<number, number>()
    for (let i = 0; i < count; i++) {
      const id = drawFrom(law, random.next())
      seen.set(id, (seen.get(id) ?? 0) + 1)
    }
    let statistic = 0
    for (const [i, id] of law.ids.entries())
      statistic += (seen.get(id)! - count * law.probs[i]!) ** 2 / (count * law.probs[i]!)
    expect(statistic).toBeLessThan(chiSquaredDistributionTable[2]![0.005]!)
  })
})
