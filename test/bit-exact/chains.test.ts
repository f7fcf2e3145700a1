/** A row alone has the bits it has in a chain or a prefill chunk of any size, at any place of the cache's blocks. */
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import type { SessionRunner } from "../../src/runtime/model-runner.ts"
import { differences, oneByOne, type RowBits, runRows } from "../support/bit-exact.ts"
import { integerFrom, randomTokens, seeded } from "../support/tiny-model.ts"
import { cases, openCase } from "./models.ts"

const length = 300

describe.each(cases)("$name", (one) => {
  let runner: SessionRunner
  let alone: RowBits[]
  const tokens = randomTokens(length, one.model.vocabulary, one.model.seed)
  beforeAll(async () => {
    runner = await openCase(one)
    alone = await oneByOne(runner, runner.openCache(), tokens)
  })
  afterAll(() => runner.dispose())

  test.each([2, 5, 32, length])("chunks of %i", async (size) => {
    const cache = runner.openCache()
    const found: RowBits[] = []
    for (let start = 0; start < length; start += size)
      found.push(...(await runRows(runner, cache, tokens.slice(start, start + size))))
    expect(differences(`chunks of ${size}`, alone, found)).toEqual([])
  })

  test("chunks of random sizes from 1 to 32, and to 128", async () => {
    const random = seeded(one.model.seed + 100)
    for (const most of [32, 128]) {
      const cache = runner.openCache()
      const found: RowBits[] = []
      while (found.length < length) {
        const size = integerFrom(random, 1, most)
        found.push(...(await runRows(runner, cache, tokens.slice(found.length, found.length + size))))
      }
      expect(differences(`up to ${most}`, alone, found)).toEqual([])
    }
  })

  test("drafts that end just before, at and just behind the end of a block", async () => {
    const found: string[] = []
    for (const start of [125, 126, 127, 128, 129, 250, 255, 256, 257]) {
      const cache = runner.openCache()
      await runRows(runner, cache, tokens.slice(0, start))
      for (const size of [1, 2, 3, 7]) {
        const draft = await runRows(runner, cache, tokens.slice(start, start + size), { keep: [] })
        found.push(...differences(`${size} at ${start}`, alone.slice(start, start + size), draft))
      }
    }
    expect(found).toEqual([])
  })
})

describe("negative controls: the comparison sees", () => {
  // In float32: rounding to 8 bits would hide so small a change.
  const one = cases.find(({ weights }) => weights === "f32")!
  const tokens = randomTokens(40, one.model.vocabulary, 1)
  const setup = async () => {
    const runner = await openCase(one)
    const cache = runner.openCache()
    await runRows(runner, cache, tokens.slice(0, 30))
    return { runner, cache, alone: await runRows(runner, cache, tokens.slice(30, 31), { keep: [] }) }
  }

  test("a row whose position is off by one", async () => {
    const { runner, cache, alone } = await setup()
    const moved = await runRows(runner, cache, tokens.slice(30, 31), { keep: [], positions: [31] })
    expect(differences("moved", alone, moved)).toContainEqual(expect.stringMatching(/logits differ/))
    await runner.dispose()
  })

  test("cached values of one row that are off by their last bit", async () => {
    const { runner, cache, alone } = await setup()
    const bits = new Uint32Array(cache.layer(0).tailValues.buffer)
    for (let i = 0; i < 2 * 32; i++) bits[29 * 2 * 32 + i]! ^= 1 // both key heads of the row before
    const nudged = await runRows(runner, cache, tokens.slice(30, 31), { keep: [] })
    expect(differences("nudged", alone, nudged).length).toBeGreaterThan(0)
    await runner.dispose()
  })

  test("a NaN, even where both have it", async () => {
    const { alone, runner } = await setup()
    const broken = [{ ...alone[0]!, logits: alone[0]!.logits.map((value, i) => (i === 7 ? Number.NaN : value)) }]
    expect(differences("broken", broken, broken)).toEqual(["broken, row 0: 1 of 150 logits differ"])
    await runner.dispose()
  })
})
