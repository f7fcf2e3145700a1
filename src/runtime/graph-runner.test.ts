/** Small graphs of a method's own: results, the order of runs, what is counted, what is refused. */
import { expect, test } from "vitest"
import { add, Graph, matmul } from "../graph/index.ts"
import { type GraphFeed, openGraph } from "./graph-runner.ts"
import { Ledger } from "./ledger.ts"

/** y = x·W + 1, W [2, 2] as an external weight would be: [[1, 2], [3, 4]]. */
function affine(): Graph {
  const graph = new Graph()
  const x = graph.input("x", "float32", ["rows", 2])
  const w = graph.weight("w", "float32", [2, 2], () => new Uint8Array(Float32Array.of(1, 2, 3, 4).buffer))
  graph.output("y", add(matmul(x, w), graph.scalar("float32", 1)))
  return graph
}

const rows = (...values: number[]): GraphFeed => ({
  type: "float32",
  shape: [values.length / 2, 2],
  data: Float32Array.from(values),
})

test("runs a graph, in order however many ask at once, and counts passes, rows and bytes", async () => {
  const ledger = new Ledger()
  const runner = await openGraph(affine(), { threads: 1, ledger })
  const [one, two] = await Promise.all([
    runner.run({ x: rows(1, 0) }, ["y"]),
    runner.run({ x: rows(0, 1, 1, 1) }, ["y"], 2),
  ])
  expect([...one!.y!.data]).toEqual([2, 3])
  expect([...two!.y!.data]).toEqual([4, 5, 5, 7])
  const { passes, rows: counted, bytes, layerRows, logitRows } = ledger.totals()
  expect([passes, counted, bytes, layerRows, logitRows]).toEqual([2, 3, 24, 0, 0])
  await runner.dispose()
})

test("a run that does not fit fails with a code and leaves the session usable; a disposed one is refused", async () => {
  const runner = await openGraph(affine(), { threads: 1 })
  const wide = { type: "float32", shape: [1, 3], data: Float32Array.of(1, 2, 3) } as const
  await expect(runner.run({ x: wide }, ["y"])).rejects.toMatchObject({ code: "E_RUNTIME" })
  expect([...(await runner.run({ x: rows(1, 0) }, ["y"])).y!.data]).toEqual([2, 3])
  await runner.dispose()
  await expect(runner.run({ x: rows(1, 0) }, ["y"])).rejects.toMatchObject({ code: "E_DISPOSED" })
})
