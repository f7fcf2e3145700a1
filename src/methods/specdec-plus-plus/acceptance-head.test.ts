/** The head: its arithmetic by hand, tied and untied blocks, and weights that do not fit. */
import { describe, expect, test } from "vitest"
import type { PartTensor } from "../../models/trained-part.ts"
import { createAcceptanceHead, headTensors } from "./acceptance-head.ts"
import { randomHead } from "./test-weights.ts"

const tensor = (shape: readonly number[], ...values: number[]): PartTensor => ({
  shape,
  values: Float32Array.from(values),
})
/** One block of two: x + SiLU(W·x + b), then rows for reject and accept. */
const byHand = new Map([
  [headTensors.weight(0), tensor([2, 2], 1, 0, 2, -1)],
  [headTensors.bias(0), tensor([2], 0, 0.5)],
  [headTensors.out, tensor([2, 2], 0, 1, 1, 0)],
  [headTensors.outBias, tensor([2], 0, 0.25)],
])
const silu = (x: number): number => x / (1 + Math.exp(-x))
const hidden = Float32Array.of(1, -0.5)

describe("arithmetic", () => {
  test("a probe without blocks: the softmax of the last layer, whose second row accepts", () => {
    const reject = -0.5
    const accept = 1 + 0.25
    const chance = Math.exp(accept) / (Math.exp(accept) + Math.exp(reject))
    expect(createAcceptanceHead(byHand, 0).accepts(hidden)).toBeCloseTo(chance, 6)
    expect(chance).toBeGreaterThan(0.8) // not the other class
  })

  test("a block adds SiLU of its product", () => {
    const [x, y] = [1 + silu(1), -0.5 + silu(2 + 0.5 + 0.5)]
    expect(createAcceptanceHead(byHand, 1).accepts(hidden)).toBeCloseTo(1 / (1 + Math.exp(y! - x! - 0.25)), 6)
  })

  test("tied: one stored block, applied three times, is three equal ones", () => {
    const tied = randomHead(8, 3, { tied: true })
    const copied = new Map(tied)
    for (const block of [1, 2]) {
      copied.set(headTensors.weight(block), tied.get(headTensors.weight(0))!)
      copied.set(headTensors.bias(block), tied.get(headTensors.bias(0))!)
    }
    const states = Array.from({ length: 9 }, (_, i) => Float32Array.from({ length: 8 }, (_, j) => Math.sin(i + 3 * j)))
    const chances = (tensors: ReadonlyMap<string, PartTensor>, depth: number) =>
      states.map((state) => createAcceptanceHead(tensors, depth).accepts(state))
    expect(chances(tied, 3)).toEqual(chances(copied, 3))
    expect(chances(tied, 3)).not.toEqual(chances(tied, 1))
    expect(chances(randomHead(8, 3), 3)).not.toEqual(chances(tied, 3)) // untied blocks are read, each its own
  })
})

describe("weights that do not fit", () => {
  const without = (name: string) => new Map([...byHand].filter(([key]) => key !== name))
  test.each([
    [without(headTensors.out), 1, "head.out.weight"],
    [without(headTensors.bias(0)), 1, "head.blocks.0.bias"],
    [new Map([...byHand, [headTensors.weight(0), tensor([1, 2], 1, 1)]]), 1, "needed head.blocks.0.weight [2, 2]"],
    [byHand, Number.NaN, "depth of NaN"],
    [byHand, 1e9, "depth of 1000000000"],
  ])("case %#", (tensors, depth, message) => {
    expect(() => createAcceptanceHead(tensors, depth)).toThrow(
      expect.objectContaining({ code: "E_MODEL_FORMAT", message: expect.stringContaining(message) }),
    )
  })
})
