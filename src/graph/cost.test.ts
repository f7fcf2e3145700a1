/** Costs counted by hand. */
import { expect, test } from "vitest"
import { add, exp, fusedMatmul, Graph, matmul, peakBytes, productFlops, weightBytes } from "./index.ts"

test("products cost two operations a term; transposed ones the same", () => {
  const graph = new Graph()
  const [a, b] = [graph.input("a", "float32", [5, 2, 3]), graph.input("b", "float32", [3, 4])]
  matmul(a, b) // 5·2·4 sums of 3
  fusedMatmul(graph.input("c", "float32", [7, 2]), graph.input("d", "float32", [4, 7]), { transA: true, transB: true })
  exp(a)
  expect(productFlops(graph)).toBe(2 * (5 * 2 * 4 * 3) + 2 * (2 * 4 * 7))
})

test("a value counts from its node to its last use, an output to the end", () => {
  const graph = new Graph()
  const x = graph.input("x", "float32", [25])
  graph.weight("w", "float64", [3, 2], () => new Uint8Array(48))
  const first = exp(x) // 100 bytes, lives until the sum
  const second = exp(first)
  const third = exp(second) // second is no longer needed after this
  graph.output("y", add(first, third))
  // At the third: first, second, third. At the sum: first, third, sum. At the output: sum, output.
  expect(peakBytes(graph)).toBe(300)
  expect(weightBytes(graph)).toBe(48)
})
