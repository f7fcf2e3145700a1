/** Gradients of operators that have no float64, against their definitions in plain JavaScript; and what is refused. */
import { describe, expect, test } from "vitest"
import {
  addRmsNorm,
  concat,
  conditional,
  erf,
  exp,
  Graph,
  gelu,
  gradients,
  reduceSum,
  rotary,
  round,
  silu,
  type Value,
} from "./index.ts"
import { checkAgainst } from "./test-differences.ts"

describe("without float64, against their definitions", () => {
  const sample = { shape: [2, 4], values: [-2.1, -0.7, -0.2, 0.05, 0.3, 0.9, 1.4, 2.6] }
  // Abramowitz and Stegun 7.1.5, a series that converges for any argument.
  const errorFunction = (x: number) => {
    let [sum, term] = [x, x]
    for (let n = 1; n < 60; n++) {
      term *= -(x * x) / n
      sum += term / (2 * n + 1)
    }
    return (2 / Math.sqrt(Math.PI)) * sum
  }
  const each = (f: (x: number) => number) => (operands: readonly (readonly number[])[]) => operands[0]!.map(f)

  test("erf", () => checkAgainst([sample], ([x]) => erf(x!), each(errorFunction)))
  test("gelu", () =>
    checkAgainst(
      [sample],
      ([x]) => gelu(x!, "none"),
      each((x) => (x / 2) * (1 + errorFunction(x / Math.SQRT2))),
    ))
  test("gelu by tanh", () =>
    checkAgainst(
      [sample],
      ([x]) => gelu(x!, "tanh"),
      each((x) => (x / 2) * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)))),
    ))
  test("silu", () =>
    checkAgainst(
      [sample],
      ([x]) => silu(x!),
      each((x) => x / (1 + Math.exp(-x))),
    ))

  test("the sum and its RMS norm", () => {
    const other = { shape: [2, 4], values: [0.3, 1.1, -0.4, 0.8, -1.3, 0.2, 0.6, -0.9] }
    const scale = { shape: [4], values: [0.5, 1.5, -0.7, 1.1] }
    return checkAgainst(
      [sample, other, scale],
      ([x, y, w]) => {
        const { sum, normed } = addRmsNorm(x!, y!, w!, 1e-3)
        return concat([sum, normed], 0)
      },
      ([x, y, w]) => {
        const sums = x!.map((value, i) => value + y![i]!)
        const normed = sums.map((value, i) => {
          const row = sums.slice(i - (i % 4), i - (i % 4) + 4)
          const mean = row.reduce((total, entry) => total + entry * entry, 0) / 4
          return (value / Math.sqrt(mean + 1e-3)) * w![i % 4]!
        })
        return [...sums, ...normed]
      },
    )
  })

  test.each([
    [1, 4],
    [2, 6],
  ])("rotary, %i heads of %i, four dimensions of which turn", (heads, width) => {
    const x = { shape: [1, 3, heads * width], values: Array.from({ length: 3 * heads * width }, (_, i) => Math.cos(i)) }
    const angle = (row: number, i: number) => 0.4 + row * (i === 0 ? 0.9 : 0.2)
    const table = (f: (x: number) => number) => [0, 1, 2].flatMap((row) => [f(angle(row, 0)), f(angle(row, 1))])
    return checkAgainst(
      [x],
      ([value], graph) => {
        const [cos, sin] = [table(Math.cos), table(Math.sin)].map((t) => graph.constant("float32", [3, 2], t))
        return rotary(value!, graph.constant("int64", [1], [0]), cos!, sin!, heads)
      },
      ([values]) =>
        values!.map((entry, at) => {
          const row = Math.floor(at / (heads * width))
          const inHead = at % width
          if (inHead >= 4) return entry
          const [cos, sin] = [Math.cos(angle(row, inHead % 2)), Math.sin(angle(row, inHead % 2))]
          return inHead < 2 ? entry * cos - values![at + 2]! * sin : entry * cos + values![at - 2]! * sin
        }),
    )
  })
})

describe("what has no gradient is refused by name", () => {
  const refusal = (build: (x: Value, graph: Graph) => Value): string => {
    const graph = new Graph()
    const x = graph.input("x", "float32", [2, 3])
    try {
      gradients(reduceSum(build(x, graph), [0, 1], false), [x])
    } catch (thrown) {
      expect(thrown).toMatchObject({ code: "E_GRAPH" })
      return (thrown as Error).message
    }
    return "nothing was refused"
  }

  test("an operator without a rule", () => {
    expect(refusal(round)).toMatch(/Round.*no gradient rule\n.*x: float32 \[2, 3\]/)
  })
  test("a conditional, also when only its arms use the value", () => {
    const branch = (x: Value, graph: Graph) =>
      conditional(
        graph.constant("bool", [], [1]),
        [[2, 3]],
        () => [exp(x)],
        () => [x],
      )[0]!
    expect(refusal(branch)).toMatch(/If: a conditional has no gradient/)
  })
  test("a loss that does not depend on the value", () => {
    expect(refusal((_, graph) => graph.constant("float32", [1, 1], [1]))).toMatch(
      /does not depend on this value.*\n.*x:/,
    )
  })
  test("a loss that is no single number", () => {
    const graph = new Graph()
    const x = graph.input("x", "float32", [2])
    expect(() => gradients(x, [x])).toThrow(/one floating-point number/)
  })
})
