/** Shapes, types and errors at build time; the printer. */
import { describe, expect, test } from "vitest"
import {
  add,
  addRmsNorm,
  blockMatmul,
  cast,
  concat,
  conditional,
  type ElementType,
  fusedMatmul,
  Graph,
  gather,
  matmul,
  printGraph,
  quantizeLinear,
  reduceMax,
  reduceSum,
  reshape,
  rotary,
  type Shape,
  slice,
  softcap,
  split,
  squeeze,
  topK,
  transpose,
  unsqueeze,
  type Value,
  where,
} from "./index.ts"

const graph = () => {
  const g = new Graph()
  let count = 0
  return { g, v: (shape: Shape, type: ElementType = "float32") => g.input(`v${count++}`, type, shape) }
}

/** The error of a build: its code is E_GRAPH, and its text names the operator and every operand with its shape. */
function refusal(build: (v: (shape: Shape, type?: ElementType) => Value) => unknown): string {
  try {
    build(graph().v)
  } catch (thrown) {
    expect(thrown).toMatchObject({ code: "E_GRAPH" })
    return (thrown as Error).message
  }
  return "nothing was refused"
}

describe("shapes", () => {
  test("broadcast as in numpy, symbols included", () => {
    const { v } = graph()
    expect(add(v([3, 1, 5]), v([4, 1])).shape).toEqual([3, 4, 5])
    expect(add(v(["rows", 8]), v([8])).shape).toEqual(["rows", 8])
    expect(add(v(["rows", 1]), v([1, "tail+rows"])).shape).toEqual(["rows", "tail+rows"])
    expect(add(v([]), v([2])).shape).toEqual([2])
    expect(where(v([1, 3], "bool"), v([2, 1]), v([1])).shape).toEqual([2, 3])
  })

  test("of products, movements and reductions", () => {
    const { g, v } = graph()
    expect(matmul(v(["rows", 6]), v([6, 10])).shape).toEqual(["rows", 10])
    expect(fusedMatmul(v(["rows", 6]), v([10, 6]), { transB: true }).shape).toEqual(["rows", 10])
    expect(reshape(v(["rows", 12]), ["rows", 3, -1]).shape).toEqual(["rows", 3, 4])
    expect(reshape(v(["rows", 3, 4]), [3, -1]).shape).toEqual([3, "4*rows"])
    expect(transpose(v([2, "rows", 4]), [1, 0, 2]).shape).toEqual(["rows", 2, 4])
    expect(concat([v(["tail", 4]), v(["rows", 4])], 0).shape).toEqual(["rows+tail", 4])
    expect(split(v(["rows", 12]), [4, 8], -1).map(({ shape }) => shape)).toEqual([
      ["rows", 4],
      ["rows", 8],
    ])
    expect(slice(v([5, 9]), 1, 2, 6).shape).toEqual([5, 4])
    expect(gather(v([100, 8]), v(["rows"], "int64")).shape).toEqual(["rows", 8])
    expect(reduceSum(v([2, "rows", 4]), [0, 2]).shape).toEqual([1, "rows", 1])
    expect(reduceMax(v([2, "rows", 4]), -1, false).shape).toEqual([2, "rows"])
    expect(unsqueeze(v([2, 3]), 1).shape).toEqual([2, 1, 3])
    expect(squeeze(v([2, 1, 3]), 1).shape).toEqual([2, 3])
    expect(topK(v(["rows", 50]), g.constant("int64", [1], [4]), 4).indices).toMatchObject({
      type: "int64",
      shape: ["rows", 4],
    })
    expect(cast(v([2]), "float64")).toMatchObject({ type: "float64", shape: [2] })
  })
})

describe("errors name the operator and its operands", () => {
  test.each<[string, (v: (shape: Shape, type?: ElementType) => Value) => unknown, string[]]>([
    ["Add, sizes", (v) => add(v([3, 4]), v([3, 5])), ["Add", "v0: float32 [3, 4]", "v1: float32 [3, 5]"]],
    ["Add, symbols", (v) => add(v(["rows"]), v(["tail"])), ["Add", "[rows]", "[tail]"]],
    ["Add, types", (v) => add(v([3]), v([3], "float64")), ["Add", "v0: float32 [3]", "v1: float64 [3]"]],
    ["product", (v) => matmul(v(["rows", 6]), v([7, 10])), ["MatMul", "v0: float32 [rows, 6]", "v1: float32 [7, 10]"]],
    ["fused product", (v) => fusedMatmul(v([5, 6]), v([6, 10]), { transB: true }), ["[5, 6]", "[6, 10]"]],
    ["reshape", (v) => reshape(v(["rows", 5]), ["rows", 2, -1]), ["reshape", "[rows, 2, -1]", "v0: float32 [rows, 5]"]],
    ["reshape, two symbols", (v) => reshape(v(["rows", "tail"]), ["tail", "rows"]), ["reshape", "symbolic"]],
    ["transpose", (v) => transpose(v([2, 3]), [0, 0]), ["transpose", "0,0", "v0"]],
    ["concat", (v) => concat([v([2, 3]), v([2, 4])], 0), ["concat", "v0: float32 [2, 3]", "v1: float32 [2, 4]"]],
    ["split", (v) => split(v([2, 9]), [4, 4], 1), ["split", "8", "9", "v0"]],
    ["slice", (v) => slice(v([5]), 0, 2, 6), ["slice", "[2, 6)", "v0"]],
    ["gather", (v) => gather(v([5]), v([2])), ["gather", "int64", "v1: float32 [2]"]],
    ["axis", (v) => reduceMax(v([2, 3]), 2), ["ReduceMax", "axis 2", "v0: float32 [2, 3]"]],
    ["squeeze", (v) => squeeze(v([2, 3]), 1), ["squeeze", "v0"]],
    ["norm", (v) => addRmsNorm(v([2, 8]), v([2, 8]), v([7]), 1e-5), ["addRmsNorm", "[7]"]],
    ["rotary", (v) => rotary(v([2, 8]), v([1], "int64"), v([2, 4]), v([2, 4])), ["rotary", "rank 3", "v0"]],
    ["quantize", (v) => quantizeLinear(v([2]), v([]), v([], "int8")), ["quantizeLinear", "uint8", "int8"]],
    [
      "blocks",
      (v) => {
        const [data, scales] = [v([16, 2, 16], "uint8"), v([16, 2])]
        return blockMatmul(v([2, 60]), { data, scales, bits: 4, blockSize: 32, in: 64, out: 16 })
      },
      ["blockMatmul", "64", "[2, 60]"],
    ],
  ])("%s", (_, build, parts) => {
    const message = refusal(build)
    for (const part of parts) expect(message).toContain(part)
  })

  test("names are unique, constants have their shape's number of values", () => {
    expect(refusal((v) => v([1]).graph.input("v0", "float32", [1]))).toContain("v0")
    expect(refusal((v) => v([1]).graph.constant("float32", [2, 2], [1, 2, 3]))).toContain(
      "[2, 2] holds 4 values, got 3",
    )
  })

  test.each<[string, ElementType, Shape]>([
    ["type", "float64", [2, 3]],
    ["size", "float32", [2, 4]],
    ["rank", "float32", [3]],
  ])("the arms of a conditional agree in %s", (_, type, shape) => {
    const message = refusal((v) => {
      const [condition, a, b] = [v([], "bool"), v([2, 3]), v(shape, type)]
      return conditional(
        condition,
        [["some", 3]],
        () => [a],
        () => [b],
      )
    })
    expect(message).toContain("conditional")
    expect(message).toContain(`${type} [${shape.join(", ")}]`)
  })

  test("an arm of a conditional gives as many results as were declared", () => {
    const message = refusal((v) => {
      const [condition, a] = [v([], "bool"), v([2, 3])]
      return conditional(
        condition,
        [[2, 3]],
        () => [a, a],
        () => [a],
      )
    })
    expect(message).toContain("conditional: 1 results needed, an arm returned 2")
  })
})

test("equal constants are one", () => {
  const { g } = graph()
  expect(g.scalar("float32", 0.5)).toBe(g.scalar("float32", 0.5))
  expect(g.scalar("float32", 0.5)).not.toBe(g.constant("float32", [1], [0.5]))
})

test("the printer: one line a node, arms indented", () => {
  const g = new Graph()
  const x = g.input("x", "float32", ["rows", 4])
  const weight = g.weight("weight", "float32", [4, 6], () => new Uint8Array(96))
  const product = g.scope("layer0", () => matmul(x, weight))
  const [chosen] = conditional(
    g.input("wanted", "bool", []),
    [["rows", 6]],
    () => [softcap(product, 30)],
    () => [product],
  )
  g.output("y", chosen!)
  expect(printGraph(g)).toMatchInlineSnapshot(`
    "input  x: float32[rows, 4]
    input  wanted: bool[]
    weights 2 tensors, 100 bytes
    layer0/MatMul_0: float32[rows, 6] = MatMul(x, weight)
    If_5: float32[rows, 6] = If(wanted)
      then_branch:
        Div_1: float32[rows, 6] = Div(layer0/MatMul_0, const_0)
        Tanh_2: float32[rows, 6] = Tanh(Div_1)
        Mul_3: float32[rows, 6] = Mul(Tanh_2, const_0)
      else_branch:
        Identity_4: float32[rows, 6] = Identity(layer0/MatMul_0)
    y: float32[rows, 6] = Identity(If_5)
    output y: float32[rows, 6]"
  `)
})
