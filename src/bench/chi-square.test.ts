/** The chi-square's tail against printed tables, and uniformity of what is and is not uniform. */
import { expect, test } from "vitest"
import { createRandom } from "../tensor/random.ts"
import { chiSquareTail, uniformPValue } from "./chi-square.ts"

test.each([
  [3.841459, 1, 0.05],
  [6.634897, 1, 0.01],
  [5.991465, 2, 0.05],
  [30.143527, 19, 0.05],
  [36.190869, 19, 0.01],
  [10.117013, 19, 0.95],
  [124.342113, 100, 0.05],
])("P(chi-square > %d) with %i degrees of freedom is %d", (statistic, freedom, tail) => {
  expect(chiSquareTail(statistic, freedom)).toBeCloseTo(tail, 6)
})

test("two degrees of freedom have a closed form", () => {
  for (const statistic of [0.1, 1, 4, 20, 100]) {
    const tail = Math.exp(-statistic / 2)
    expect(Math.abs(chiSquareTail(statistic, 2) / tail - 1)).toBeLessThan(1e-12)
  }
  expect(chiSquareTail(0, 5)).toBe(1)
})

test("uniform numbers pass, others do not", () => {
  const random = createRandom(3)
  const uniform = Array.from({ length: 4000 }, () => random.next())
  expect(uniformPValue(uniform)).toBeGreaterThan(0.001)
  expect(uniformPValue(uniform.map((value) => value ** 1.2))).toBeLessThan(1e-4)
  expect(uniformPValue(uniform.map(() => 0.5))).toBeLessThan(1e-12)
})
