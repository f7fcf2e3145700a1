/** The drafting graph in 8 bits: small embeddings beside large features lose little. */
import { expect, test } from "vitest"
import { randomDrafterTensors, testIntermediate } from "../../../test/support/drafter-part.ts"
import { contractModel, seeded, tinyCheckpoint } from "../../../test/support/tiny-model.ts"
import { openGraph } from "../../runtime/graph-runner.ts"
import type { PartTensor } from "../trained-part.ts"
import { balanceOf, draftGraph } from "./graph.ts"
import { drafterSizes } from "./sizes.ts"

const { config } = tinyCheckpoint(contractModel)
const { hidden, kvHeads, headSize } = config
const sizes = drafterSizes(config, { span: 1, fusion: "gate", intermediate: testIntermediate })
const random = seeded(9)
const numbers = (count: number, size: number) => Float32Array.from({ length: count }, () => size * (2 * random() - 1))
const head = numbers(20 * hidden, 1)

/** Weights for embeddings 200 times smaller than features. */
const tensors = new Map<string, PartTensor>(
  [...randomDrafterTensors(sizes)].map(([name, { shape, values }]) => {
    const reads = name === "fusion.weight" || name === "gate0.weight"
    const scaled = values.map((value, i) => (i % (2 * hidden) < hidden ? 20 * value : value / 10))
    return [name, { shape, values: reads ? scaled : values }]
  }),
)
const [embedded, features] = [numbers(3 * hidden, 0.05), numbers(3 * hidden, 10)]

async function predicted(format: "f32" | "q8"): Promise<Float32Array> {
  const runner = await openGraph(draftGraph({ sizes, tensors, head, format }), { threads: 1 })
  const float = (data: Float32Array, ...shape: number[]) => ({ type: "float32", shape, data }) as const
  const whole = (...values: number[]) =>
    ({ type: "int64", shape: [values.length], data: BigInt64Array.from(values, BigInt) }) as const
  const half = sizes.rope.dimensions / 2
  const found = await runner.run(
    {
      embedded: float(embedded, 3, hidden),
      features: float(features, 3, hidden),
      cos: float(new Float32Array(3 * half).fill(1), 3, half),
      sin: float(new Float32Array(3 * half), 3, half),
      pastKeys: float(new Float32Array(0), 0, kvHeads * headSize),
      pastValues: float(new Float32Array(0), 0, kvHeads * headSize),
      bias: float(new Float32Array(9), 3, 3),
      picked: whole(0, 1, 2),
      top: whole(4),
    },
    ["predicted"],
  )
  await runner.dispose()
  return found.predicted!.data as Float32Array
}

test("8-bit rows keep both: the features that they predict are off by less than three hundredths", async () => {
  const [exact, rounded] = [await predicted("f32"), await predicted("q8")]
  const size = (values: Float32Array) => Math.sqrt(values.reduce((sum, value) => sum + value * value, 0))
  expect(size(exact.map((value, i) => value - rounded[i]!)) / size(exact)).toBeLessThan(0.03)
})

test("the factor is the ratio of the columns' sizes, to a power of two; 1 where a side is empty", () => {
  expect(balanceOf(tensors.get("fusion.weight")!, hidden)).toBe(256)
  expect(balanceOf({ shape: [1, 4], values: Float32Array.of(1, -1, 0.5, 0.5) }, 2)).toBe(2)
  expect(balanceOf({ shape: [1, 4], values: Float32Array.of(0, 0, 1, 1) }, 2)).toBe(1)
  expect(balanceOf({ shape: [1, 4], values: Float32Array.of(1, 1, 0, 0) }, 2)).toBe(1)
})
