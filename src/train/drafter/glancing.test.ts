/** Coupled sequential glancing: its schedules, which rows it chooses, and what stands there then. */
import { describe, expect, test } from "vitest"
import { Graph } from "../../graph/index.ts"
import { openGraph } from "../../runtime/graph-runner.ts"
import { createRandom } from "../../tensor/random.ts"
import { glanced, glancedShare, glancingOrder, glancingRate } from "./glancing.ts"

describe("λ", () => {
  test("the paper's falls from 0.4 to 0, the code's from 0.45 to 0.1", () => {
    const at = (schedule: "paper" | "code" | "off") =>
      [0, 0.5, 1].map((progress) => Number(glancingRate(schedule, progress).toFixed(4)))
    expect(at("paper")).toEqual([0.4, 0.2, 0])
    expect(at("code")).toEqual([0.45, 0.275, 0.1])
    expect(at("off")).toEqual([0, 0, 0])
  })
})

describe("which rows", () => {
  test("span 2: only first rows of blocks both of whose rows count, each block once", () => {
    // Blocks {0, 1} … {6, 7}: the second lacks row 2, the third row 5.
    const order = glancingOrder([0, 1, 3, 4, 6, 7], 8, 2, createRandom(1))
    expect([...order].map((place) => place === 2)).toEqual([false, true, true, true, true, true, false, true])
    expect([order[0], order[6]].sort()).toEqual([0.5, 1])
  })

  test("span 4: starts of blocks, and none to two rows behind each; the last never", () => {
    const rows = Array.from({ length: 400 }, (_, i) => i)
    const order = glancingOrder(rows, 400, 4, createRandom(2))
    const lengths = rows
      .filter((row) => row % 4 === 0)
      .map((row) => rows.slice(row, row + 4).filter((i) => order[i]! < 2).length)
    expect(new Set(lengths)).toEqual(new Set([1, 2, 3]))
    expect(rows.filter((row) => row % 4 === 0).every((row) => order[row]! <= 1)).toBe(true)
  })
})

/** Runs glancing over two windows of four rows, span 2; embeddings are 0 … 5 and 10 … 15, features ten times that. */
async function replaced(order: readonly number[], rate: number, misses: number) {
  const graph = new Graph()
  const scalar = (name: string) => graph.input(name, "float32", [])
  const share = glancedShare(scalar("rate"), scalar("misses"), 2)
  const found = glanced({
    embedded: graph.input("embedded", "float32", [2, 6, 1]),
    features: graph.input("features", "float32", [2, 6, 1]),
    order: graph.input("order", "float32", [8]),
    share,
    span: 2,
  })
  graph.output("e", found.embedded)
  graph.output("f", found.features)
  const runner = await openGraph(graph, { threads: 1 })
  const values = Float32Array.of(0, 1, 2, 3, 4, 5, 10, 11, 12, 13, 14, 15)
  const feed = (data: Float32Array, ...shape: number[]) => ({ type: "float32", shape, data }) as const
  const out = await runner.run(
    {
      embedded: feed(values, 2, 6, 1),
      features: feed(
        values.map((x) => 10 * x),
        2,
        6,
        1,
      ),
      order: feed(Float32Array.from(order), 8),
      rate: feed(Float32Array.of(rate)),
      misses: feed(Float32Array.of(misses)),
    },
    ["e", "f"],
  )
  await runner.dispose()
  expect([...out.f!.data]).toEqual([...out.e!.data].map((x) => 10 * Number(x))) // coupled
  return [...out.e!.data]
}

describe("what stands there", () => {
  const order = [0.25, 2, 1, 2, 0.5, 2, 0.75, 2]

  test("λ = 0.25 and every token wrong: half of the blocks' first rows hold what stands two rows further", async () => {
    expect(await replaced(order, 0.25, 1)).toEqual([2, 1, 2, 3, 12, 11, 12, 13])
  })

  test("nothing is replaced where nothing was missed, or λ is 0", async () => {
    const own = [0, 1, 2, 3, 10, 11, 12, 13]
    expect(await replaced(order, 0.4, 0)).toEqual(own)
    expect(await replaced(order, 0, 1)).toEqual(own)
  })

  test("never more than all blocks, and never a second row", async () => {
    expect(await replaced(order, 5, 1)).toEqual([2, 1, 4, 3, 12, 11, 14, 13])
  })
})
