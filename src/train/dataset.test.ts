/** Orders of samples: complete, different each epoch, and known from the seed and the number alone. */
import { describe, expect, test } from "vitest"
import { createRandom } from "../tensor/random.ts"
import { createSampler, shuffled, tokenWindows } from "./dataset.ts"

describe("samples", () => {
  test("come once an epoch, in another order each time", () => {
    const sample = createSampler(12, 3, createRandom(4))
    const epoch = (n: number) => [0, 1, 2, 3].flatMap((i) => sample(4 * n + i))
    for (const n of [0, 1]) expect(epoch(n).toSorted((a, b) => a - b)).toEqual(Array.from({ length: 12 }, (_, i) => i))
    expect(epoch(0)).not.toEqual(epoch(1))
  })

  test("are a function of seed and pass: asked out of order, they are the same", () => {
    const [a, b] = [createSampler(50, 8, createRandom(1)), createSampler(50, 8, createRandom(1))]
    const forwards = Array.from({ length: 20 }, (_, pass) => a(pass))
    const backwards = Array.from({ length: 20 }, (_, i) => b(19 - i)).toReversed()
    expect(backwards).toEqual(forwards)
    expect(createSampler(50, 8, createRandom(2))(0)).not.toEqual(forwards[0])
  })

  test("must fill a batch", () => {
    expect(() => createSampler(3, 4, createRandom(1))).toThrow(expect.objectContaining({ code: "E_OPTION" }))
  })

  test("are spread evenly: each place sees each of four samples about equally often", () => {
    const counts = new Map<string, number>()
    for (let seed = 0; seed < 2400; seed++) {
      const order = shuffled(4, createRandom(seed)).join("")
      counts.set(order, (counts.get(order) ?? 0) + 1)
    }
    expect(counts.size).toBe(24)
    const chi = [...counts.values()].reduce((sum, count) => sum + (count - 100) ** 2 / 100, 0)
    expect(chi).toBeLessThan(23 + 5 * Math.sqrt(46))
  })
})

test("windows follow each other, labels one place further", () => {
  const data = tokenWindows(Int32Array.of(5, 6, 7, 8, 9, 10, 11, 12), 3)
  expect(data.samples).toBe(2)
  const { tensors, tokens } = data.batch([1, 0], createRandom(1))
  expect(tensors.tokens).toEqual({ type: "int64", shape: [2, 3], data: BigInt64Array.of(8n, 9n, 10n, 5n, 6n, 7n) })
  expect(tensors.labels!.data).toEqual(BigInt64Array.of(9n, 10n, 11n, 6n, 7n, 8n))
  expect(tokens).toBe(6)
})
