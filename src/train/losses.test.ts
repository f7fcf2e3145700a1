/** Losses against numbers worked out by hand or in plain float64, and their gradients. */
import { describe, expect, test } from "vitest"
import { Graph, type Value } from "../graph/index.ts"
import { checkGradients, openGraph } from "../graph/test-differences.ts"
import { binaryCrossEntropy, crossEntropy, divergence, hits, mean, smoothL1, softCrossEntropy } from "./losses.ts"

const logits = { shape: [3, 4], values: [1, 2, 0.5, -1, 0, 3, -2, 1, 700, 0, 699, -5] }
const teacher = { shape: [3, 4], values: [0.5, 1, -1, 0, 2, 1, 0, -1, 1, 2, 3, -4] }
const labels = (graph: Graph) => graph.constant("int64", [3], [1, 3, 2])

async function evaluated(build: (x: Value, y: Value, graph: Graph) => Value) {
  const graph = new Graph()
  const [x, y] = [logits, teacher].map(({ shape }, i) => graph.input(`x${i}`, "float64", shape))
  graph.output("y", build(x!, y!, graph))
  const { run, release } = await openGraph(graph, "float64")
  const { y: values } = await run([logits, teacher], ["y"])
  await release()
  return values!
}

const row = ({ values }: { values: readonly number[] }, i: number) => values.slice(4 * i, 4 * i + 4)
const logProbabilities = (z: readonly number[]) => {
  const top = Math.max(...z)
  const total = top + Math.log(z.reduce((sum, value) => sum + Math.exp(value - top), 0))
  return z.map((value) => value - total)
}
const close = (values: readonly number[]) => values.map((value) => expect.closeTo(value, 9))

describe("values", () => {
  test("cross-entropy, also where exp would overflow", async () => {
    const wanted = [1, 3, 2].map((label, i) => -logProbabilities(row(logits, i))[label]!)
    expect(wanted[2]).toBeCloseTo(Math.log(1 + Math.E), 9) // 700 against 699
    expect(await evaluated((x, _, graph) => crossEntropy(x, labels(graph)))).toEqual(close(wanted))
  })

  test("divergence and soft cross-entropy differ by the teacher's entropy", async () => {
    const p = [0, 1, 2].map((i) => logProbabilities(row(teacher, i)).map(Math.exp))
    const cross = p.map((probabilities, i) => {
      const q = logProbabilities(row(logits, i))
      return -probabilities.reduce((sum, each, k) => sum + each * q[k]!, 0)
    })
    const entropy = p.map((probabilities) => -probabilities.reduce((sum, each) => sum + each * Math.log(each), 0))
    expect(await evaluated((x, _, graph) => softCrossEntropy(x, graph.constant("float64", [3, 4], p.flat())))).toEqual(
      close(cross),
    )
    expect(await evaluated((x, y) => divergence(y, x))).toEqual(close(cross.map((each, i) => each - entropy[i]!)))
    expect(await evaluated((x) => divergence(x, x))).toEqual(close([0, 0, 0]))
  })

  test("a mean with weights leaves out what weighs nothing, and is 0 when all do", async () => {
    const weighed = (weights: number[]) =>
      evaluated((x, _, graph) => mean(crossEntropy(x, labels(graph)), graph.constant("float64", [3], weights)))
    const each = [1, 3, 2].map((label, i) => -logProbabilities(row(logits, i))[label]!)
    expect(await weighed([2, 0, 1])).toEqual(close([(2 * each[0]! + each[2]!) / 3]))
    expect(await weighed([0, 0, 0])).toEqual([0])
  })

  test("hits are rows whose label leads", async () => {
    expect(await evaluated((x, _, graph) => hits(x, labels(graph)))).toEqual([1, 0, 0])
  })

  test("smooth L1 is quadratic near, linear far", async () => {
    const found = await evaluated((x, y) => smoothL1(x, y))
    expect(found.slice(0, 4)).toEqual(close([0.125, 0.5, 1, 0.5]))
  })

  test("binary cross-entropy of large logits is finite", async () => {
    const found = await evaluated((x, _, graph) => binaryCrossEntropy(x, graph.scalar("float64", 1)))
    expect(found[0]).toBeCloseTo(Math.log(1 + Math.exp(-1)), 9)
    expect(found[8]).toBeCloseTo(0, 9)
    expect(found[11]).toBeCloseTo(5 + Math.log(1 + Math.exp(-5)), 9)
  })
})

describe("gradients agree with central differences", () => {
  const [x, y] = [
    { shape: [2, 3], values: [0.3, -1.2, 0.8, 2.1, 0.4, -0.6] },
    { shape: [2, 3], values: [1.1, 0.2, -0.5, 0.7, 2.4, 0.1] },
  ]
  test.each<[string, (a: Value, b: Value, graph: Graph) => Value]>([
    ["cross-entropy", (a, b, graph) => crossEntropy(softened(a, b), graph.constant("int64", [2], [2, 0]))],
    ["divergence", (a, b) => divergence(a, b)],
    ["smooth L1", (a, b) => smoothL1(a, b)],
    ["binary cross-entropy", (a, b) => binaryCrossEntropy(a, b)],
    ["weighted mean", (a, b) => mean(a, b)],
  ])("%s", (_, build) => checkGradients([x, y], ([a, b], graph) => build(a!, b!, graph)))
})

const softened = (a: Value, b: Value): Value => smoothL1(a, b)
