/** Packed blocks and rows, opened again by the layout that MatMulNBits and MatMulIntegerToFloat document. */
import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { seeded, tinyCheckpoint } from "../../../test/support/tiny-model.ts"
import { range } from "../../../test/support/tiny-runner.ts"
import { packAsIs } from "./as-is.ts"
import { type PackedBlocks, packBlocks4, packBlocks8 } from "./blocks.ts"
import { hadamard, rotate, rotationSize } from "./rotate.ts"
import { createPackedRows, packRows8 } from "./rows.ts"

/** scale · (q − zero), as onnxruntime's operator description says. */
function opened(packed: PackedBlocks, bits: 4 | 8, rows: number, columns: number, blockSize: number): number[] {
  const blocks = Math.ceil(columns / blockSize)
  const values: number[] = []
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < columns; column++) {
      const block = Math.floor(column / blockSize)
      const at = (row * blocks + block) * blockSize + (column % blockSize)
      const byte = packed.data[bits === 8 ? at : at >> 1]!
      const q = bits === 8 ? byte : (byte >> (4 * (at & 1))) & 15
      const zeros = packed.zeroPoints?.[row * Math.ceil(blocks / 2) + (block >> 1)]
      const zero = bits === 8 ? 128 : zeros === undefined ? 8 : (zeros >> (4 * (block & 1))) & 15
      values.push(packed.scales[row * blocks + block]! * (q - zero))
    }
  return values
}

const matrices = fc.record({
  rows: fc.integer({ min: 1, max: 5 }),
  columns: fc.integer({ min: 1, max: 150 }),
  blockSize: fc.constantFrom(16, 32, 64),
  seed: fc.integer(),
  size: fc.constantFrom(1e-6, 0.05, 1, 3e4),
})
const random = (count: number, seed: number, size: number) => {
  const next = seeded(seed)
  return Float32Array.from({ length: count }, () => (next() < 0.1 ? 0 : (next() - 0.4) * size))
}
/** Largest magnitude of the block of each entry. */
const peaks = (values: Float32Array, columns: number, blockSize: number) =>
  Array.from(values, (_, i) => {
    const [row, column] = [Math.floor(i / columns), i % columns]
    const start = row * columns + column - (column % blockSize)
    return Math.max(...values.slice(start, Math.min(start + blockSize, (row + 1) * columns)).map(Math.abs))
  })

describe("8-bit blocks", () => {
  test("every value is within half a step, zero is zero, the largest is kept", () => {
    fc.assert(
      fc.property(matrices, ({ rows, columns, blockSize, seed, size }) => {
        const values = random(rows * columns, seed, size)
        const back = opened(packBlocks8(values, rows, columns, blockSize), 8, rows, columns, blockSize)
        const peak = peaks(values, columns, blockSize)
        for (const [i, value] of values.entries()) {
          expect(Math.abs(back[i]! - value)).toBeLessThanOrEqual((peak[i]! / 127) * 0.5001)
          if (value === 0) expect(back[i]).toBeCloseTo(0, 12)
          if (Math.abs(value) === peak[i]) expect(back[i]! / value || 1).toBeCloseTo(1, 6)
        }
      }),
    )
  })
})

describe("4-bit blocks", () => {
  test("zero stays zero and no value is off by more than the clipped range allows", () => {
    fc.assert(
      fc.property(matrices, ({ rows, columns, blockSize, seed, size }) => {
        const values = random(rows * columns, seed, size)
        const back = opened(packBlocks4(values, rows, columns, blockSize), 4, rows, columns, blockSize)
        const peak = peaks(values, columns, blockSize)
        for (const [i, value] of values.entries()) {
          if (value === 0) expect(back[i]! + 0).toBe(0)
          expect(Math.abs(back[i]! - value)).toBeLessThanOrEqual(peak[i]! * 0.32)
        }
      }),
    )
  })

  test("values on a grid of sixteen are kept", () => {
    const values = Float32Array.from({ length: 64 }, (_, i) => ((i % 16) - 5) * 0.25)
    expect(opened(packBlocks4(values, 2, 32, 32), 4, 2, 32, 32)).toEqual(Array.from(values))
  })

  test("the squared error is no larger than plain rounding over the whole range makes it", () => {
    const values = random(64 * 32, 5, 1)
    const back = opened(packBlocks4(values, 64, 32, 32), 4, 64, 32, 32)
    let [packed, plain] = [0, 0]
    for (let row = 0; row < 64; row++) {
      const block = values.subarray(row * 32, row * 32 + 32)
      const step = (Math.max(0, ...block) - Math.min(0, ...block)) / 15
      const zero = Math.round(-Math.min(0, ...block) / step)
      for (const [i, value] of block.entries()) {
        const q = Math.min(15, Math.max(0, Math.round(value / step) + zero))
        plain += (value - step * (q - zero)) ** 2
        packed += (value - back[row * 32 + i]!) ** 2
      }
    }
    expect(packed).toBeLessThanOrEqual(plain * 1.0001)
    expect(packed).toBeGreaterThan(0)
  })
})

test("8-bit rows: transposed, one scale a row, and small enough that no pair of products saturates 16 bits", () => {
  fc.assert(
    fc.property(matrices, ({ rows, columns, seed, size }) => {
      const values = random(rows * columns, seed, size)
      const packed = createPackedRows(rows, columns)
      const half = Math.floor(rows / 2)
      packRows8(packed, values.subarray(0, half * columns), 0, columns)
      packRows8(packed, values.subarray(half * columns), half, columns)
      expect(2 * 255 * Math.max(...packed.data.map(Math.abs))).toBeLessThan(2 ** 15)
      for (let row = 0; row < rows; row++) {
        const own = values.subarray(row * columns, (row + 1) * columns)
        const peak = Math.max(...own.map(Math.abs))
        for (const [column, value] of own.entries()) {
          const back = packed.data[column * rows + row]! * packed.scales[row]!
          expect(Math.abs(back - value)).toBeLessThanOrEqual((peak / 64) * 0.5001)
        }
      }
    }),
  )
})

describe("rotation", () => {
  test("the Hadamard matrix is symmetric, of one magnitude, and its own inverse", () => {
    for (const size of [16, 32, 64]) {
      const matrix = hadamard(size)
      expect(new Set(Array.from(matrix, (value) => Math.abs(value).toFixed(6))).size).toBe(1)
      const product = (i: number, j: number) => range(size).reduce((sum, k) => sum + at(i, k) * at(k, j), 0)
      const at = (i: number, j: number) => matrix[i * size + j]!
      for (const i of range(size))
        for (const j of range(size)) {
          expect(at(i, j)).toBe(at(j, i))
          expect(product(i, j)).toBeCloseTo(i === j ? 1 : 0, 5)
        }
    }
  })

  test("turning both sides keeps a product and spreads an outlier", () => {
    const [x, w] = [random(128, 1, 1), random(128, 2, 1)]
    x[5] = 40
    const dot = () => x.reduce((sum, value, i) => sum + value * w[i]!, 0)
    const [before, peak] = [dot(), Math.max(...x.map(Math.abs))]
    rotate(x, 64)
    rotate(w, 64)
    expect(dot()).toBeCloseTo(before, 3)
    expect(Math.max(...x.map(Math.abs))).toBeLessThan(peak / 4)
  })

  test("blocks are the largest power of two that fits, none where that is small", () => {
    expect([576, 1536, 96, 48, 72, 101].map(rotationSize)).toEqual([64, 64, 32, 16, undefined, undefined])
  })
})

test.each(["Q4_0", "Q8_0"] as const)("%s as it is: exactly the file's values", (blocks) => {
  const sizes = { hidden: 64, heads: 2, kvHeads: 1, headSize: 32, layers: 1, intermediate: 96, vocabulary: 40 }
  const { weights } = tinyCheckpoint({ family: "llama", seed: 6, ...sizes, blocks })
  const name = "model.layers.0.mlp.down_proj.weight"
  const packed = packAsIs(blocks, weights.raw(name), 64, 96)
  // dequantise, which float32 goes through, is held to gguf-py's values by goldens of its own.
  expect(opened(packed, blocks === "Q4_0" ? 4 : 8, 64, 96, 32).map(Math.fround)).toEqual(
    Array.from(weights.float32(name)),
  )
})
