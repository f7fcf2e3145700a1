/** Products in every format against float64, on rows of all kinds: ordinary, zero, tiny, huge, with one outlier. */
import { describe, expect, test } from "vitest"
import { seeded } from "../../test/support/tiny-model.ts"
import { externalBuffer, Graph, serialize } from "../graph/index.ts"
import { createSession } from "../runtime/session-node.ts"
import { linearFormats, type WeightFormat, weightFormats } from "./formats.ts"
import { matrixOf } from "./linear.ts"
import type { TensorInfo, WeightSource } from "./weights.ts"

interface Stacked {
  readonly source: WeightSource
  readonly tensors: TensorInfo[]
  readonly values: Float32Array[]
}

function stacked(outs: readonly number[], columns: number): Stacked {
  const random = seeded(columns)
  const values = outs.map((out) => Float32Array.from({ length: out * columns }, () => random() - 0.5))
  values[0]!.fill(0, 0, columns) // a row of zeros
  const tensors = outs.map(
    (out, i): TensorInfo => ({ name: `t${i}`, shape: [out, columns], type: "F32", bytes: out * columns * 4 }),
  )
  const find = (name: string) => values[Number(name.slice(1))]!
  const source: WeightSource = {
    tensors: new Map(tensors.map((tensor) => [tensor.name, tensor])),
    raw: (name) => new Uint8Array(find(name).buffer),
    float32: (name) => find(name).slice(),
    close() {},
  }
  return { source, tensors, values }
}

async function product(
  weights: WeightFormat,
  { source, tensors }: Stacked,
  columns: number,
  x: Float32Array,
): Promise<Float32Array> {
  const graph = new Graph()
  const input = graph.input("x", "float32", ["rows", columns])
  graph.output("y", linearFormats[weights](graph, matrixOf(source, "m", tensors, true))(input))
  const written = serialize(graph, "w")
  const external = { path: "w", data: externalBuffer(written) }
  const session = await createSession({ model: written.model, external }, { threads: 2, device: "cpu" })
  const { y } = await session.run({ x: session.tensor("float32", x, [x.length / columns, columns]) }, ["y"])
  await session.release()
  return y!.data as Float32Array
}

/**
 * Root of the mean squared error, relative to the expected row's. Rounding to 8 bits costs the row with the outlier
 * (its peak thirty times its size) about 8/127/√12/0.3 · √(1/2) of it, and every other far less.
 */
const tolerance: Readonly<Record<WeightFormat, number>> = {
  f32: 1e-6,
  "as-is": 1e-6,
  q8: 0.03,
  q4: 0.12,
}

describe.each(weightFormats)("%s", (weights) => {
  // The last one is longer than the runs of rows in which a table is opened.
  test.each([
    [[24], 32],
    [[40, 16, 16], 96],
    [[33], 77],
    [[5000], 64],
  ])("%j × %i", async (outs, columns) => {
    const made = stacked(outs, columns)
    const random = seeded(9)
    const rows = [1, 1e-4, 1e4, 0, 1].map((size, i) => {
      const row = Float32Array.from({ length: columns }, () => (random() - 0.5) * size)
      if (i === 4) row[3] = 8
      return row
    })
    const x = Float32Array.from(rows.flatMap((row) => [...row]))
    const y = await product(weights, made, columns, x)
    const out = outs.reduce((sum, one) => sum + one, 0)
    expect(y).toHaveLength(rows.length * out)
    const matrix = made.values.flatMap((values) =>
      Array.from({ length: values.length / columns }, (_, row) => values.subarray(row * columns, (row + 1) * columns)),
    )
    for (const [i, row] of rows.entries()) {
      const expected = matrix.map((weight) => weight.reduce((sum, value, column) => sum + value * row[column]!, 0))
      const found = y.subarray(i * out, (i + 1) * out)
      const norm = (values: readonly number[]) => Math.hypot(...values) / Math.sqrt(values.length)
      const error = norm(expected.map((value, column) => value - found[column]!))
      if (i === 3)
        expect(Array.from(found, Math.abs)).toEqual(expected.map(() => 0)) // zero in, zero out
      else expect(error / norm(expected)).toBeLessThan(tolerance[weights])
    }
  })
})
