/** The closed-form fit: a known map comes back, by hand for one input, and what cannot be solved is refused. */
import { describe, expect, test } from "vitest"
import { seeded } from "../../../test/support/tiny-model.ts"
import { fitLinear } from "./ridge.ts"

describe("least squares", () => {
  test("finds the map that made the rows, in chunks of any size", async () => {
    const random = seeded(3)
    const [inputs, outputs] = [5, 3]
    const map = Array.from({ length: outputs * inputs }, () => random() - 0.5)
    const bias = [2, -1, 0.25]
    const chunk = (rows: number) => {
      const x = Float32Array.from({ length: rows * inputs }, () => random() * 2 - 1)
      const y = new Float32Array(rows * outputs)
      for (let row = 0; row < rows; row++)
        for (let o = 0; o < outputs; o++) {
          y[row * outputs + o] = bias[o]!
          for (let i = 0; i < inputs; i++) y[row * outputs + o]! += map[o * inputs + i]! * x[row * inputs + i]!
        }
      return { rows, x, y }
    }
    const fit = await fitLinear([chunk(40), chunk(1), chunk(17)], { inputs, outputs, pull: 0, threads: 1 })
    for (const [i, value] of map.entries()) expect(fit.weight[i]).toBeCloseTo(value, 4)
    for (const [o, value] of bias.entries()) expect(fit.bias[o]).toBeCloseTo(value, 4)
  })

  test("by hand: 6 at x = 1, 2 at x = −1; a pull as strong as the inputs halves the slope, never the bias", async () => {
    const rows = { rows: 2, x: Float32Array.of(1, -1), y: Float32Array.of(6, 2) } // slope 2, bias 4
    const at = async (pull: number) => {
      const { weight, bias } = await fitLinear([rows], { inputs: 1, outputs: 1, pull, threads: 1 })
      return [weight[0], bias[0]].map((value) => Number(value!.toFixed(5)))
    }
    expect(await at(0)).toEqual([2, 4])
    expect(await at(1)).toEqual([1, 4]) // Σxy / (Σx² + λ) = 4 / (2 + 2)
  })

  test("no rows are refused", async () => {
    await expect(fitLinear([], { inputs: 1, outputs: 1, pull: 0, threads: 1 })).rejects.toMatchObject({
      code: "E_INPUT",
    })
  })
})
