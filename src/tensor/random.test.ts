/** Streams: reproducible, independent of each other, well spread, and frozen by a snapshot. */

import fc from "fast-check"
import { sampleCorrelation } from "simple-statistics"
import { describe, expect, it } from "vitest"
import { createRandom, type Random } from "./random.ts"

function take(random: Random, count: number): number[] {
  return Array.from({ length: count }, () => random.next())
}

/** Pearson's statistic of numbers in [0, 1) over equal cells; its mean is cells - 1, its deviation √(2 cells). */
function chiSquare(numbers: readonly number[], cells: number): number {
  const counts = new Array<number>(cells).fill(0)
  for (const number of numbers) counts[Math.floor(number * cells)]! += 1
  const expected = numbers.length / cells
  return counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0)
}

describe("createRandom", () => {
  it("gives the same numbers for the same seed, and others for another", () => {
    expect(take(createRandom(7), 20)).toEqual(take(createRandom(7), 20))
    expect(take(createRandom(7), 20)).toEqual(take(createRandom(7n), 20))
    expect(take(createRandom(7), 20)).not.toEqual(take(createRandom(8), 20))
    expect(take(createRandom(-1n), 5)).not.toEqual(take(createRandom(2n ** 64n - 1n), 5))
  })

  it("gives multiples of 2^-53 in [0, 1), and uses the lowest bit", () => {
    const scaled = take(createRandom(1), 1000).map((number) => number * 2 ** 53)
    expect(scaled.every((number) => Number.isSafeInteger(number) && number >= 0)).toBe(true)
    const odd = scaled.filter((number) => number % 2 === 1).length
    expect(Math.abs(odd - 500)).toBeLessThan(80)
  })

  it("never changes: these numbers are part of every recorded run", () => {
    const root = createRandom(42)
    expect(take(root, 3)).toMatchInlineSnapshot(`
      [
        0.08335244236870087,
        0.604757928574983,
        0.6142689447142553,
      ]
    `)
    expect(take(root.fork("draft"), 3)).toMatchInlineSnapshot(`
      [
        0.2717526940696494,
        0.27556186309344,
        0.663741419342705,
      ]
    `)
    expect(take(root.fork("draft").fork(3), 3)).toMatchInlineSnapshot(`
      [
        0.23611088091151455,
        0.9684710766509085,
        0.7192362726647568,
      ]
    `)
    expect(take(createRandom(-(2n ** 63n)), 2)).toMatchInlineSnapshot(`
      [
        0.18630890767729502,
        0.25359121511506877,
      ]
    `)
  })

  it.each([Number.NaN, Infinity, 1.5, 2 ** 53, 2n ** 64n, -(2n ** 63n) - 1n, "1", undefined, {}])(
    "refuses the seed %s",
    (seed) => {
      expect(() => createRandom(seed as number)).toThrow(expect.objectContaining({ code: "E_OPTION" }))
    },
  )

  it("spreads evenly: one and two dimensions, over seeds as well as over draws", () => {
    const overDraws = take(createRandom(3), 100_000)
    const overSeeds = Array.from({ length: 100_000 }, (_, seed) => createRandom(seed).next())
    const pairs = overDraws.flatMap((x, i) => {
      return i % 2 ? [] : [(Math.floor(x * 10) + overDraws[i + 1]!) / 10]
    })
    for (const numbers of [overDraws, overSeeds, pairs]) {
      expect(Math.abs(chiSquare(numbers, 100) - 99)).toBeLessThan(4 * Math.sqrt(200))
    }
  })
})

describe("fork", () => {
  it("depends on the path only: not on draws, not on the order of forks", () => {
    const used = createRandom(5)
    take(used, 13)
    used.fork("other").next()
    take(used.fork("a"), 4)
    const expected = take(createRandom(5).fork("a").fork(2), 10)
    expect(take(used.fork("a").fork(2), 10)).toEqual(expected)
  })

  it("leaves the parent's stream as it was", () => {
    const parent = createRandom(5)
    parent.fork("a").next()
    expect(take(parent, 5)).toEqual(take(createRandom(5), 5))
  })

  it("tells paths apart that look alike", () => {
    const root = () => createRandom(1)
    const streams = [
      root(),
      root().fork(""),
      root().fork("").fork(""),
      root().fork("ab"),
      root().fork("a").fork("b"),
      root().fork("b").fork("a"),
      root().fork(1),
      root().fork("1"),
      root().fork("n1"),
      root().fork(1.5),
      root().fork(-1),
      createRandom(2),
    ]
    expect(new Set(streams.map((random) => random.next())).size).toBe(streams.length)
  })

  it("has no collisions over many seeds, labels and depths", () => {
    const label = fc.oneof(fc.integer(), fc.string())
    const path = fc.tuple(fc.integer(), fc.array(label, { maxLength: 3 }))
    fc.assert(
      fc.property(path, path, (a, b) => {
        const [x, y] = [a, b].map(([seed, labels]) => {
          const end = labels.reduce<Random>((random, next) => random.fork(next), createRandom(seed))
          return take(end, 2)
        })
        if (JSON.stringify(a) === JSON.stringify(b)) expect(x).toEqual(y)
        else expect(x).not.toEqual(y)
      }),
      { seed: 1, numRuns: 500 },
    )
  })

  it("gives streams without correlation to the parent, to siblings or to their own next draw", () => {
    const count = 20_000
    const root = createRandom(11)
    const streams = [root, root.fork(0), root.fork(1), root.fork(2), root.fork(1).fork(1), createRandom(12)]
    const drawn = streams.map((random) => take(random, count))
    for (let a = 0; a < drawn.length; a++) {
      for (let b = 0; b < a; b++) {
        expect(Math.abs(sampleCorrelation(drawn[a]!, drawn[b]!))).toBeLessThan(4 / Math.sqrt(count))
      }
      expect(Math.abs(sampleCorrelation(drawn[a]!.slice(1), drawn[a]!.slice(0, -1)))).toBeLessThan(4 / Math.sqrt(count))
    }
  })

  it("spreads the first draw evenly over consecutive labels, as positions of a sequence use it", () => {
    const root = createRandom(9)
    const first = Array.from({ length: 50_000 }, (_, position) => root.fork(position).next())
    expect(Math.abs(chiSquare(first, 100) - 99)).toBeLessThan(4 * Math.sqrt(200))
    expect(Math.abs(sampleCorrelation(first.slice(1), first.slice(0, -1)))).toBeLessThan(4 / Math.sqrt(50_000))
  })

  it("refuses labels that are no number", () => {
    expect(() => createRandom(1).fork(Number.NaN)).toThrow(expect.objectContaining({ code: "E_OPTION" }))
  })
})
