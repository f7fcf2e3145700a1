/** Linear systems with a symmetric positive definite matrix, in float64. */
import { ForerunError } from "../base/errors.ts"

/**
 * X with A·X = B. @param a [n, n], of which the lower half is read @param b [n, m] @returns [n, m]
 * @throws E_INTERNAL when A is not positive definite
 */
export function solvePositive(a: Float64Array, b: Float64Array, n: number): Float64Array {
  const lower = cholesky(a, n)
  const m = b.length / n
  const x = b.slice()
  // Whole rows at a time: forward with L, then backward with its transpose.
  for (let i = 0; i < n; i++) {
    for (let k = 0; k < i; k++) subtractRow(x, { to: i, from: k, factor: lower[i * n + k]!, m })
    scaleRow(x, i, 1 / lower[i * n + i]!, m)
  }
  for (let i = n - 1; i >= 0; i--) {
    for (let k = i + 1; k < n; k++) subtractRow(x, { to: i, from: k, factor: lower[k * n + i]!, m })
    scaleRow(x, i, 1 / lower[i * n + i]!, m)
  }
  return x
}

/** L with L·Lᵀ = A, lower triangular. */
function cholesky(a: Float64Array, n: number): Float64Array {
  const lower = new Float64Array(n * n)
  for (let i = 0; i < n; i++)
    for (let j = 0; j <= i; j++) {
      let sum = a[i * n + j]!
      for (let k = 0; k < j; k++) sum -= lower[i * n + k]! * lower[j * n + k]!
      if (i === j && !(sum > 0)) throw new ForerunError("E_INTERNAL", `row ${i}: the matrix is not positive definite`)
      lower[i * n + j] = i === j ? Math.sqrt(sum) : sum / lower[j * n + j]!
    }
  return lower
}

function subtractRow(
  x: Float64Array,
  { to, from, factor, m }: { to: number; from: number; factor: number; m: number },
) {
  for (let c = 0; c < m; c++) x[to * m + c]! -= factor * x[from * m + c]!
}

function scaleRow(x: Float64Array, row: number, factor: number, m: number) {
  for (let c = row * m; c < (row + 1) * m; c++) x[c]! *= factor
}
