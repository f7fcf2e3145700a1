/** Each operator's gradient against central differences in float64, for random shapes, broadcasts and values. */
import fc from "fast-check"
import { describe, expect, test } from "vitest"
import {
  absolute,
  add,
  addRmsNorm,
  cast,
  concat,
  divide,
  exp,
  expand,
  fusedMatmul,
  Graph,
  gather,
  gatherElements,
  gradients,
  layerNorm,
  log,
  logSoftmax,
  matmul,
  maximum,
  minimum,
  multiply,
  negate,
  pad,
  power,
  reduceLogSumExp,
  reduceMax,
  reduceMean,
  reduceSum,
  reduceSumSquare,
  relu,
  reshape,
  rmsNorm,
  scatterAddElements,
  scatterAddRows,
  sigmoid,
  silu,
  slice,
  softcap,
  softmax,
  split,
  sqrt,
  squeeze,
  subtract,
  tanh,
  topK,
  transpose,
  unsqueeze,
  type Value,
  where,
  withoutLast,
} from "./index.ts"
import { checkGradients, type Operand, openGraph } from "./test-differences.ts"

const size = (shape: readonly number[]) => shape.reduce((n, dim) => n * dim, 1)

/** Values away from each other and from zero, where the operators with corners have none. */
const operand = (shape: readonly number[], low = -2, high = 2): fc.Arbitrary<Operand> =>
  fc
    .uniqueArray(fc.integer({ min: 1, max: 9973 }), { minLength: size(shape), maxLength: size(shape) })
    .map((numbers) => ({ shape, values: numbers.map((n) => low + ((n + 0.31) / 9974) * (high - low)) }))

const dims = (rank: number) => fc.array(fc.integer({ min: 1, max: 4 }), { minLength: rank, maxLength: rank })
const shapes = fc.integer({ min: 1, max: 3 }).chain(dims)

/** Two shapes that broadcast: axes of size 1 and missing leading axes on either side. */
const broadcasting = fc
  .tuple(
    shapes,
    fc.array(fc.constantFrom("both", "left", "right"), { minLength: 3, maxLength: 3 }),
    fc.nat(2),
    fc.boolean(),
  )
  .map(([shape, kinds, cut, left]) => {
    const a = shape.map((dim, i) => (kinds[i] === "right" ? 1 : dim))
    const b = shape.map((dim, i) => (kinds[i] === "left" ? 1 : dim))
    const short = Math.min(cut, shape.length - 1)
    return left ? ([a.slice(short), b] as const) : ([a, b.slice(short)] as const)
  })

const runs = { numRuns: 4 }
const unary = (build: (x: Value) => Value, low?: number, high?: number) =>
  fc.assert(
    fc.asyncProperty(
      shapes.chain((shape) => operand(shape, low, high)),
      (x) => checkGradients([x], ([value]) => build(value!)),
    ),
    runs,
  )
/** Half a step between possible values: the operands of a maximum are never alike. */
const offset = 2e-4
const binary = (build: (a: Value, b: Value) => Value, low = -2, high = 2) =>
  fc.assert(
    fc.asyncProperty(
      broadcasting.chain(([a, b]) => fc.tuple(operand(a, low, high), operand(b, low + offset, high + offset))),
      (operands) => checkGradients(operands, ([a, b]) => build(a!, b!)),
    ),
    { numRuns: 8 },
  )
const given = (list: readonly (readonly number[])[], build: (...operands: Value[]) => Value) =>
  fc.assert(
    fc.asyncProperty(fc.tuple(...list.map((shape) => operand(shape))), (operands) =>
      checkGradients(operands, (values) => build(...values)),
    ),
    { numRuns: 2 },
  )

describe("elementwise", () => {
  test.each<[string, (x: Value) => Value, number?, number?]>([
    ["absolute", absolute],
    ["negate", negate],
    ["exp", exp],
    ["log", log, 0.2, 3],
    ["sqrt", sqrt, 0.2, 3],
    ["tanh", tanh],
    ["sigmoid", sigmoid],
    ["relu", relu],
    ["silu", silu],
    ["softcap", (x) => softcap(x, 1.5)],
    ["a value used three times", (x) => add(multiply(x, x), x)],
    ["cast there and back", (x) => multiply(cast(cast(x, "float64"), "float64"), x)],
  ])("%s", (_, build, low, high) => unary(build, low, high))

  test.each<[string, (a: Value, b: Value) => Value, number?, number?]>([
    ["add", add],
    ["subtract", subtract],
    ["multiply", multiply],
    ["divide", divide, 0.3, 2],
    ["power", power, 0.3, 2],
    ["maximum", maximum],
    ["minimum", minimum],
    ["where", (a, b) => where(a.graph.constant("bool", [1], [1]), multiply(a, b), b)],
  ])("%s, broadcast", (_, build, low, high) => binary(build, low, high))

  test("where chooses by entry", () =>
    given([[2, 3], [3]], (a, b) => where(a.graph.constant("bool", [2, 1], [1, 0]), multiply(a, a), b)))
})

describe("movement", () => {
  const index = (graph: Graph, shape: number[], values: number[]) => graph.constant("int64", shape, values)

  test("reshape, transpose, unsqueeze, squeeze", () =>
    given([[2, 3, 4]], (x) => squeeze(unsqueeze(transpose(reshape(x, [6, 4]), [1, 0]), 1), 1)))
  test("a transposition that is not its own inverse", () =>
    given([[2, 3, 4]], (x) => transpose(multiply(x, x), [2, 0, 1])))
  test("concat", () =>
    given(
      [
        [2, 1],
        [2, 3],
      ],
      (a, b) => concat([a, multiply(b, b), a], 1),
    ))
  test("split, one part unused", () =>
    given([[2, 6]], (x) => multiply(...(split(x, [2, 2, 2], 1).slice(0, 2) as [Value, Value]))))
  test("slice and pad", () => given([[3, 5]], (x) => pad(slice(slice(x, 1, 1, 4), 0, 0, 2), 0, 1, 2)))
  test("without the last", () => given([[2, 3]], (x) => withoutLast(multiply(x, x), 1, 2)))
  test("expand", () => given([[2, 1, 3]], (x) => expand(x, [4, 2, 2, 3])))
  test.each([0, 1, 2])("gather along axis %i, with repeats", (axis) =>
    given([[2, 2, 2]], (x) => gather(multiply(x, x), index(x.graph, [2, 2], [1, 0, 1, 1]), axis)),
  )
  test("an embedding used as head too: entries are added to the dense gradient", () =>
    given([[4, 3]], (table) =>
      fusedMatmul(gather(table, index(table.graph, [5], [3, 0, 3, 1, 3])), table, { transB: true }),
    ))
  test("gather elements", () =>
    given([[3, 4]], (x) => gatherElements(exp(x), index(x.graph, [3, 2], [3, 0, 1, 1, 2, 2]), -1)))
  test("scatter elements", () =>
    given(
      [
        [3, 4],
        [3, 2],
      ],
      (x, y) => scatterAddElements(multiply(x, x), index(x.graph, [3, 2], [3, 0, 1, 1, 2, 2]), multiply(y, y), 1),
    ))
  test("scatter rows", () =>
    given(
      [
        [3, 2],
        [4, 2],
      ],
      (x, y) => scatterAddRows(x, index(x.graph, [4], [2, 0, 2, 1]), multiply(y, y)),
    ))
})

describe("reductions", () => {
  test.each<[string, (x: Value, axis: number | readonly number[], keep?: boolean) => Value]>([
    ["sum", reduceSum],
    ["mean", reduceMean],
    ["maximum", reduceMax],
    ["log of the sum of exponentials", reduceLogSumExp],
    ["sum of squares", reduceSumSquare],
  ])("%s", async (_, reduce) => {
    await given([[2, 3, 2]], (x) => multiply(x, reduce(x, [0, 2])))
    await given([[2, 3, 2]], (x) => reduce(x, 1, false))
  })
  test("equal largest entries share", async () => {
    const graph = new Graph()
    const x = graph.input("x0", "float64", [2, 3])
    graph.output("d", gradients(reduceSum(reduceMax(x, 1), [0, 1], false), [x])[0]!)
    const { run, release } = await openGraph(graph, "float64")
    expect((await run([{ shape: [2, 3], values: [2, 2, 1, 0, 5, 3] }], ["d"])).d).toEqual([0.5, 0.5, 0, 0, 1, 0])
    await release()
  })
  test("softmax", () => unary(softmax))
  test("log-softmax", () => unary(logSoftmax))
  test("the k largest", () =>
    given([[3, 5]], (x) => topK(multiply(x, x), x.graph.constant("int64", [1], [2]), 2).values))
})

describe("products", () => {
  test("plain, batched, broadcast", async () => {
    await given(
      [
        [2, 3],
        [3, 4],
      ],
      matmul,
    )
    await given(
      [
        [2, 2, 3],
        [3, 2],
      ],
      matmul,
    )
    await given(
      [
        [2, 1, 2, 3],
        [2, 3, 2],
      ],
      matmul,
    )
  })
  test.each([
    [false, false],
    [false, true],
    [true, false],
    [true, true],
  ])("fused, transA %s, transB %s", async (transA, transB) => {
    const a = (batch: number[]) => [...batch, ...(transA ? [3, 2] : [2, 3])]
    const b = (batch: number[]) => [...batch, ...(transB ? [4, 3] : [3, 4])]
    for (const [left, right] of [
      [[], []],
      [[2], []],
      [[2], [2]],
      [[2, 1], [3]],
    ])
      await given([a(left!), b(right!)], (x, y) => fusedMatmul(x, y, { transA, transB, alpha: 0.7 }))
  })
  test("b with its batch inside", async () => {
    await given(
      [
        [2, 5, 3],
        [3, 2, 4],
      ],
      (x, y) => fusedMatmul(x, y, { transBatchB: true }),
    )
    await given(
      [
        [2, 5, 3],
        [4, 2, 3],
      ],
      (x, y) => fusedMatmul(x, y, { transB: true, transBatchB: true, alpha: 0.5 }),
    )
    await given(
      [
        [2, 3, 5],
        [3, 2, 4],
      ],
      (x, y) => fusedMatmul(x, y, { transA: true, transBatchB: true }),
    )
  })
})

describe("norms", () => {
  test("RMS", () => given([[3, 4], [4]], (x, w) => rmsNorm(x, w, 1e-3)))
  test("of a sum", () =>
    given([[3, 4], [3, 4], [4]], (x, y, w) => {
      const { sum, normed } = addRmsNorm(x, y, w, 1e-3)
      return multiply(sum, normed)
    }))
  test("layer", () => given([[3, 4], [4], [4]], (x, w, b) => layerNorm(x, w, b, 1e-3)))
})

test("an LSTM cell, two steps through its own output", () =>
  given(
    [
      [2, 3],
      [8, 5],
      [2, 2],
    ],
    (x, w, start) => {
      let [hidden, cell] = [start, tanh(start)]
      for (let step = 0; step < 2; step++) {
        const gates = fusedMatmul(concat([x, hidden], 1), w, { transB: true })
        const [input, forget, output, fresh] = split(gates, [2, 2, 2, 2], 1)
        cell = add(multiply(sigmoid(forget!), cell), multiply(sigmoid(input!), tanh(fresh!)))
        hidden = multiply(sigmoid(output!), tanh(cell))
      }
      return concat([hidden, cell], 1)
    },
  ))
