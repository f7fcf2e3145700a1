/** What is written is what onnxruntime runs: values of a few operators, external data, sizes past protobuf's limit. */
import { describe, expect, test } from "vitest"
import { createSession } from "../runtime/session-node.ts"
import {
  add,
  addRmsNorm,
  blockMatmul,
  concat,
  conditional,
  externalBuffer,
  fusedMatmul,
  Graph,
  gather,
  gelu,
  matmul,
  reduceMax,
  reduceSum,
  reshape,
  serialize,
  silu,
  slice,
  softcap,
  split,
  topK,
  transpose,
  type Value,
} from "./index.ts"

const floats = (values: readonly number[]) => () => new Uint8Array(Float32Array.from(values).buffer)

/** Runs a graph of one float input. @returns the outputs' numbers by name */
async function run(build: (x: Value, g: Graph) => Record<string, Value>, dims: number[], values: number[]) {
  const g = new Graph()
  const x = g.input(
    "x",
    "float32",
    dims.map((size, i) => (i === 0 ? "rows" : size)),
  )
  const outputs = build(x, g)
  for (const [name, value] of Object.entries(outputs)) g.output(name, value)
  const written = serialize(g, "weights.bin")
  const session = await createSession(
    { model: written.model, external: { path: "weights.bin", data: externalBuffer(written) } },
    { threads: 1, device: "cpu" },
  )
  const result = await session.run(
    { x: session.tensor("float32", Float32Array.from(values), dims) },
    Object.keys(outputs),
  )
  await session.release()
  return Object.fromEntries(
    Object.entries(result).map(([name, { data, dims: shape }]) => [
      name,
      { values: Array.from(data, Number), shape: [...shape] },
    ]),
  )
}

const close = (values: readonly number[]) => values.map((value) => expect.closeTo(value, 5))

describe("onnxruntime runs what was written", () => {
  test("movements", async () => {
    const { turned, joined, cut, picked, flat } = await run(
      (x, g) => ({
        turned: transpose(x, [1, 0]),
        joined: concat(split(x, [1, 2], 1).toReversed(), 1),
        cut: slice(x, 1, 1, 3),
        picked: gather(x, g.constant("int64", [3], [1, 0, 1])),
        flat: reshape(x, [-1, 1]),
      }),
      [2, 3],
      [1, 2, 3, 4, 5, 6],
    )
    expect(turned).toEqual({ values: [1, 4, 2, 5, 3, 6], shape: [3, 2] })
    expect(joined).toEqual({ values: [2, 3, 1, 5, 6, 4], shape: [2, 3] })
    expect(cut).toEqual({ values: [2, 3, 5, 6], shape: [2, 2] })
    expect(picked).toEqual({ values: [4, 5, 6, 1, 2, 3, 4, 5, 6], shape: [3, 3] })
    expect(flat!.shape).toEqual([6, 1])
  })

  test("products: plain, fused with scale and transposition, of 8-bit blocks", async () => {
    const { plain, fused, blocks } = await run(
      (x, g) => {
        const identity = Array.from({ length: 32 * 2 }, (_, i) => (i === 0 || i === 33 + 2 ? 128 + 100 : 128))
        return {
          plain: matmul(slice(x, 1, 0, 2), g.weight("w", "float32", [2, 3], floats([1, 2, 3, 4, 5, 6]))),
          fused: fusedMatmul(slice(x, 1, 0, 2), g.weight("t", "float32", [3, 2], floats([1, 4, 2, 5, 3, 6])), {
            transB: true,
            alpha: 0.5,
          }),
          // Row 0 holds 100 in column 0, row 1 holds 100 in column 3; one step is worth 0.02.
          blocks: blockMatmul(x, {
            data: g.weight("data", "uint8", [2, 1, 32], () => Uint8Array.from(identity)),
            scales: g.weight("scales", "float32", [2, 1], floats([0.02, 0.02])),
            bits: 8,
            blockSize: 32,
            in: 32,
            out: 2,
          }),
        }
      },
      [1, 32],
      [10, 1, 0, -7, ...new Array<number>(28).fill(0)],
    )
    expect(plain!.values).toEqual([14, 25, 36])
    expect(fused!.values).toEqual([7, 12.5, 18])
    expect(blocks!.values[0]).toBeCloseTo(20, 1)
    expect(Math.abs(blocks!.values[1]! + 14)).toBeLessThan(0.1) // activations are rounded to 8 bits
  })

  test("activations, norms, reductions, the largest of a row", async () => {
    const found = await run(
      (x, g) => {
        const { sum, normed } = addRmsNorm(x, x, g.weight("norm", "float32", [4], floats([1, 1, 2, 1])), 0)
        const { values, indices } = topK(x, g.constant("int64", [1], [2]), 2)
        return {
          silu: silu(x),
          gelu: gelu(x, "tanh"),
          cap: softcap(x, 2),
          sum,
          normed,
          values,
          indices,
          total: reduceSum(x, -1),
          most: reduceMax(x, -1, false),
        }
      },
      [1, 4],
      [1, -2, 3, 0],
    )
    expect(found.silu!.values).toEqual(close([0.731059, -0.238406, 2.857722, 0]))
    expect(found.gelu!.values).toEqual(close([0.841192, -0.045402, 2.996363, 0]))
    expect(found.cap!.values).toEqual(close([0.924234, -1.523188, 1.810297, 0]))
    expect(found.sum!.values).toEqual([2, -4, 6, 0])
    expect(found.normed!.values).toEqual(close([0.534522, -1.069045, 3.207135, 0])) // rms of the sum: √14
    expect(found.values!.values).toEqual([3, 1])
    expect(found.indices!.values).toEqual([2, 0])
    expect(found.total).toEqual({ values: [2], shape: [1, 1] })
    expect(found.most).toEqual({ values: [3], shape: [1] })
  })

  test("a conditional runs one arm, and rows may be none", async () => {
    const build = (x: Value, g: Graph) => ({
      y: conditional(
        g.constant("bool", [], [0]),
        [["some", 2]],
        () => [add(x, x)],
        () => [slice(g.constant("float32", [2, 2], [1, 2, 3, 4]), 0, 0, 1)],
      )[0]!,
      twice: add(x, x),
    })
    const { y, twice } = await run(build, [0, 2], [])
    expect(y).toEqual({ values: [1, 2], shape: [1, 2] })
    expect(twice).toEqual({ values: [], shape: [0, 2] })
  })
})

describe("external data", () => {
  test("weights over a kilobyte lie outside, on page boundaries, and are asked for once", () => {
    const g = new Graph()
    let asked = 0
    const bytes = (count: number) => () => {
      asked++
      return new Uint8Array(count).fill(asked)
    }
    g.weight("small", "float32", [256], bytes(1024))
    g.weight("first", "float32", [257], bytes(1028))
    g.weight("second", "uint8", [5000], bytes(5000))
    g.weight("third", "uint8", [2000], bytes(2000))
    const written = serialize(g, "w")
    expect(asked).toBe(1) // the small one, which travels inside
    expect(written.external.map(({ offset, bytes: size }) => [offset, size])).toEqual([
      [0, 1028],
      [4096, 5000],
      [12288, 2000],
    ])
    expect(written.externalBytes).toBe(14288)
    const buffer = externalBuffer(written)
    expect([asked, buffer[1027], buffer[1028], buffer[4096], buffer[12288]]).toEqual([4, 2, 0, 3, 4])
  })

  test("data of another length than the shape says is refused by name", () => {
    const g = new Graph()
    g.weight("short", "float32", [1000], () => new Uint8Array(3999))
    const written = serialize(g, "w")
    expect(() => externalBuffer(written)).toThrow(/short: 4000 bytes needed for float32 \[1000\], got 3999/)
  })

  test("twelve gigabytes of weights are described without being touched", () => {
    const g = new Graph()
    const never = () => {
      throw new Error("asked for data")
    }
    for (let i = 0; i < 3; i++) g.weight(`large${i}`, "float32", [32768, 32768], never)
    const written = serialize(g, "w")
    const four = 2 ** 32
    expect(written.external.map(({ offset, bytes }) => [offset, bytes])).toEqual([
      [0, four],
      [four, four],
      [2 * four, four],
    ])
    expect(written.externalBytes).toBe(3 * four)
    expect(written.model.length).toBeLessThan(2000)
    const text = Buffer.from(written.model).toString("latin1")
    expect(text).toContain(String(2 * four)) // offsets are decimal text, so none is cut to 32 bits
  })
})
