/** Runs small graphs for the tests of gradients, and compares gradients with central differences. */
import { expect } from "vitest"
import { createSession } from "../runtime/session-node.ts"
import type { ElementType, Value } from "./index.ts"
import { externalBuffer, Graph, gradients, multiply, reduceSum, serialize } from "./index.ts"

export interface Operand {
  readonly shape: readonly number[]
  readonly values: readonly number[]
}

export type Build = (operands: readonly Value[], graph: Graph) => Value

type Runner = (operands: readonly Operand[], fetches: readonly string[]) => Promise<Record<string, number[]>>

/** A session for the graph's inputs x0, x1, … */
export async function openGraph(
  graph: Graph,
  type: "float32" | "float64",
): Promise<{ run: Runner; release(): Promise<void> }> {
  const written = serialize(graph, "weights.bin")
  const session = await createSession(
    { model: written.model, external: { path: "weights.bin", data: externalBuffer(written) } },
    { threads: 1, device: "cpu" },
  )
  const array = type === "float32" ? Float32Array : Float64Array
  return {
    async run(operands, fetches) {
      const feeds = operands.map(({ shape, values }, i) => [
        `x${i}`,
        session.tensor(type, array.from(values) as Float64Array, shape),
      ])
      const results = await session.run(Object.fromEntries(feeds), fetches)
      return Object.fromEntries(Object.entries(results).map(([name, { data }]) => [name, Array.from(data, Number)]))
    },
    release: () => session.release(),
  }
}

/** Numbers that weigh the entries of a result, so that a wrong order or a missing entry shows in its sum. */
const weight = (i: number): number => Math.sin(1.7 * i + 0.4) + 0.2

/** The graph of Σ weight·result, with a gradient d0, d1, … for each operand. */
function weighed(operands: readonly Operand[], build: Build, type: ElementType) {
  const graph = new Graph()
  const inputs = operands.map(({ shape }, i) => graph.input(`x${i}`, type, shape))
  const result = build(inputs, graph)
  const shape = result.shape as number[]
  const size = shape.reduce((n, dim) => n * dim, 1)
  const weights = graph.constant(
    type,
    shape,
    Array.from({ length: size }, (_, i) => weight(i)),
  )
  const product = multiply(result, weights)
  const loss = shape.length === 0 ? product : reduceSum(product, [...shape.keys()], false)
  graph.output("result", result)
  graph.output("loss", loss)
  for (const [i, gradient] of gradients(loss, inputs).entries()) {
    expect(gradient.shape).toEqual(inputs[i]!.shape)
    graph.output(`d${i}`, gradient)
  }
  return graph
}

const names = (operands: readonly Operand[]) => operands.map((_, i) => `d${i}`)

const moved = (operands: readonly Operand[], at: number, entry: number, by: number): Operand[] =>
  operands.map(({ shape, values }, i) =>
    i === at ? { shape, values: values.with(entry, values[entry]! + by) } : { shape, values },
  )

/** Every entry's gradient in float64 against (f(x + h) − f(x − h)) / 2h, f being the graph itself. */
export async function checkGradients(operands: readonly Operand[], build: Build, step = 1e-5): Promise<void> {
  const { run, release } = await openGraph(weighed(operands, build, "float64"), "float64")
  const analytic = await run(operands, names(operands))
  for (const [i, { values }] of operands.entries())
    for (const entry of values.keys()) {
      const up = (await run(moved(operands, i, entry, step), ["loss"])).loss![0]!
      const down = (await run(moved(operands, i, entry, -step), ["loss"])).loss![0]!
      near(analytic[`d${i}`]![entry]!, (up - down) / (2 * step), 1e-6, `operand ${i}, entry ${entry}`)
    }
  await release()
}

/** For operators without float64: gradients in float32 against differences of a function written in JavaScript. */
export async function checkAgainst(
  operands: readonly Operand[],
  build: Build,
  definition: (operands: readonly (readonly number[])[]) => readonly number[],
): Promise<void> {
  const { run, release } = await openGraph(weighed(operands, build, "float32"), "float32")
  const rounded = operands.map(({ shape, values }) => ({ shape, values: values.map(Math.fround) }))
  const found = await run(rounded, ["result", ...names(operands)])
  const loss = (given: readonly Operand[]) =>
    definition(given.map(({ values }) => values)).reduce((sum, value, i) => sum + value * weight(i), 0)
  for (const [i, value] of definition(rounded.map(({ values }) => values)).entries())
    near(found.result![i]!, value, 1e-4, `result ${i}`)
  for (const [i, { values }] of operands.entries())
    for (const entry of values.keys()) {
      const difference = (loss(moved(rounded, i, entry, 1e-6)) - loss(moved(rounded, i, entry, -1e-6))) / 2e-6
      near(found[`d${i}`]![entry]!, difference, 1e-4, `operand ${i}, entry ${entry}`)
    }
  await release()
}

function near(found: number, wanted: number, tolerance: number, where: string): void {
  const limit = tolerance * Math.max(1, Math.abs(wanted))
  expect(Math.abs(found - wanted), `${where}: gradient ${found}, difference ${wanted}`).toBeLessThan(limit)
}
