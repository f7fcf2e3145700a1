/** Symmetric systems: a known solution is found, and what is not positive definite is refused. */
import { expect, test } from "vitest"
import { solvePositive } from "./cholesky.ts"
import { createRandom } from "./random.ts"

test("two equations by hand", () => {
  // 4x + 2y = 10, 2x + 3y = 9: x = 1.5, y = 2; and the unit vectors give the inverse.
  const a = Float64Array.of(4, 2, 2, 3)
  const [x, y] = solvePositive(a, Float64Array.of(10, 9), 2)
  expect(x).toBeCloseTo(1.5, 12)
  expect(y).toBeCloseTo(2, 12)
  const inverse = solvePositive(a, Float64Array.of(1, 0, 0, 1), 2)
  for (const [i, value] of [3 / 8, -2 / 8, -2 / 8, 4 / 8].entries()) expect(inverse[i]).toBeCloseTo(value, 12)
})

test("a random system gives back the solution that made it", () => {
  const [n, m, random] = [17, 5, createRandom(4)]
  const root = Float64Array.from({ length: n * n }, () => random.next() - 0.5)
  const a = new Float64Array(n * n)
  for (let i = 0; i < n; i++)
    for (let j = 0; j < n; j++) {
      for (let k = 0; k < n; k++) a[i * n + j]! += root[i * n + k]! * root[j * n + k]!
      if (i === j) a[i * n + j]! += 0.1
    }
  const x = Float64Array.from({ length: n * m }, () => random.next() - 0.5)
  const b = new Float64Array(n * m)
  for (let i = 0; i < n; i++)
    for (let k = 0; k < n; k++) for (let c = 0; c < m; c++) b[i * m + c]! += a[i * n + k]! * x[k * m + c]!
  const found = solvePositive(a, b, n)
  for (const [i, value] of x.entries()) expect(found[i]).toBeCloseTo(value, 9)
})

test("what is not positive definite is refused", () => {
  for (const a of [Float64Array.of(1, 2, 2, 1), Float64Array.of(0, 0, 0, 0), Float64Array.of(Number.NaN, 0, 0, 1)])
    expect(() => solvePositive(a, Float64Array.of(1, 1), 2)).toThrow(expect.objectContaining({ code: "E_INTERNAL" }))
})
