/** Small graphs of a method's own: results, the order of runs, what is counted, what is refused. */
import { expect, test } from "vitest"
import { affineGraph } from "../../test/support/affine-graph.ts"
import { type GraphFeed, openGraph } from "./graph-runner.ts"
import { Ledger } from "./ledger.ts"

const rows = (...values: number[]): GraphFeed => ({
  type: "float32",
  shape: [values.length / 2, 2],
  data: Float32Array.from(values),
})

test("runs a graph, in order however many ask at once, and counts passes, rows and bytes", async () => {
  const ledger = new Ledger()
  const runner = await openGraph(affineGraph(), { threads: 1, ledger })
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
  const runner = await openGraph(affineGraph(), { threads: 1 })
  const wide = { type: "float32", shape: [1, 3], data: Float32Array.of(1, 2, 3) } as const
  await expect(runner.run({ x: wide }, ["y"])).rejects.toMatchObject({ code: "E_RUNTIME" })
  expect([...(await runner.run({ x: rows(1, 0) }, ["y"])).y!.data]).toEqual([2, 3])
  await runner.dispose()
  await expect(runner.run({ x: rows(1, 0) }, ["y"])).rejects.toMatchObject({ code: "E_DISPOSED" })
})

test("in a process of its own: the same numbers, another pid's work, the way told apart, and an end", async () => {
  const ledger = new Ledger()
  const [here, there] = [
    await openGraph(affineGraph(), { threads: 1 }),
    await openGraph(affineGraph(), { threads: 1, ledger, device: "process" }),
  ]
  const feeds = { x: rows(0.1, -0.7, 3, 5) }
  expect((await there.run(feeds, ["y"], 2)).y!.data).toEqual((await here.run(feeds, ["y"])).y!.data)
  const wide = { type: "float32", shape: [1, 3], data: Float32Array.of(1, 2, 3) } as const
  await expect(there.run({ x: wide }, ["y"])).rejects.toMatchObject({ code: "E_RUNTIME" })
  expect([...(await there.run({ x: rows(1, 0) }, ["y"])).y!.data]).toEqual([2, 3])
  const { passes, milliseconds, transferMilliseconds } = ledger.totals()
  expect(passes).toBe(2)
  expect(milliseconds).toBeGreaterThan(0)
  expect(transferMilliseconds).toBeGreaterThan(0)
  await here.dispose()
  await there.dispose()
  await expect(there.run(feeds, ["y"])).rejects.toMatchObject({ code: "E_DISPOSED" })
}, 60_000)
