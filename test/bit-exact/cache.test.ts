/** Growth, forks and rewinds leave no trace in the bits, and nothing outside a cache's own rows is ever read. */
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import type { HostCache } from "../../src/runtime/kv-cache.ts"
import type { SessionRunner } from "../../src/runtime/model-runner.ts"
import { cachedRow, differences, differingBits, oneByOne, type RowBits, runRows } from "../support/bit-exact.ts"
import { randomTokens } from "../support/tiny-model.ts"
import { range } from "../support/tiny-runner.ts"
import { oneFormatEach, openCase } from "./models.ts"

/** NaN in every value that no position of the cache owns. */
function poison(cache: HostCache): number {
  let poisoned = 0
  for (let index = 0; index < cache.shape.layers; index++)
    for (const view of Object.values(cache.layer(index)) as Float32Array[]) {
      const rest = new Float32Array(view.buffer).subarray(view.byteOffset / 4 + view.length)
      rest.fill(Number.NaN)
      poisoned += rest.length
    }
  return poisoned
}

describe.each(oneFormatEach)("$name", (one) => {
  const tokens = randomTokens(300, one.model.vocabulary, one.model.seed)
  const other = randomTokens(300, one.model.vocabulary, one.model.seed + 1)
  let runner: SessionRunner
  let alone: RowBits[]
  beforeAll(async () => {
    runner = await openCase(one)
    alone = await oneByOne(runner, runner.openCache(), tokens)
  })
  afterAll(() => runner.dispose())

  async function read(count: number): Promise<HostCache> {
    const cache = runner.openCache()
    await runRows(runner, cache, tokens.slice(0, count))
    return cache
  }

  // Within the tail, to a block's end, into a closed block, two blocks back, to nothing.
  test.each([299, 270, 257, 256, 255, 200, 129, 128, 127, 40, 1, 0])("rewind from 300 to %i and on", async (to) => {
    const cache = await read(300)
    cache.rewind(to)
    expect(cache.length).toBe(to)
    // Other tokens first, so that the rewound rows are really overwritten.
    await runRows(runner, cache, other.slice(0, Math.min(140, 300 - to)))
    cache.rewind(to)
    const end = Math.min(300, to + 40)
    const found = await runRows(runner, cache, tokens.slice(to, end))
    expect(differences(`after ${to}`, alone.slice(to, end), found)).toEqual([])
    const counts = range(end).map((row) => differingBits(cachedRow(cache, row), alone[row]!.cached))
    expect(counts).toEqual(counts.map(() => 0))
  })

  test.each([5, 127, 128, 130, 260])("forks at %i go their own ways", async (at) => {
    const trunk = await read(at)
    const branch = trunk.fork()
    const second = branch.fork()
    await runRows(runner, branch, other.slice(0, 140)) // closes at least one block
    branch.rewind(Math.max(0, at - 3)) // may reopen a block that the trunk still holds
    await runRows(runner, branch, other.slice(0, 20))
    const end = Math.min(300, at + 30)
    const found = await runRows(runner, trunk, tokens.slice(at, end))
    expect(differences("trunk", alone.slice(at, end), found)).toEqual([])
    branch.dispose()
    trunk.dispose()
    const late = await runRows(runner, second, tokens.slice(at, end))
    expect(differences("second", alone.slice(at, end), late)).toEqual([])
  })

  test.each([0, 1, 100, 127, 128, 200, 270])("NaN in all unused memory at %i changes nothing", async (at) => {
    const cache = await read(300)
    cache.rewind(at)
    expect(poison(cache)).toBeGreaterThan(0)
    const end = at + 20
    const found = await runRows(runner, cache, tokens.slice(at, end))
    expect(differences("poisoned", alone.slice(at, end), found)).toEqual([])
  })

  test("a cache rewound in a fork's company does not touch the fork", async () => {
    const cache = await read(200)
    const fork = cache.fork()
    cache.rewind(100)
    await runRows(runner, cache, other.slice(0, 60))
    const counts = range(200).map((row) => differingBits(cachedRow(fork, row), alone[row]!.cached))
    expect(counts).toEqual(counts.map(() => 0))
  })
})

describe("a disposed cache", () => {
  test("gives E_DISPOSED wherever it is used, and its forks live on", async () => {
    const runner = await openCase(oneFormatEach[0]!)
    const cache = runner.openCache()
    await runRows(runner, cache, [1, 2, 3])
    const fork = cache.fork()
    const pending = await runner.forward({ input: { tokens: Int32Array.of(4) }, cache })
    cache.dispose()
    cache.dispose() // twice is nothing
    const disposed = expect.objectContaining({ code: "E_DISPOSED" })
    expect(() => cache.fork()).toThrow(disposed)
    expect(() => cache.rewind(0)).toThrow(disposed)
    expect(() => pending.keep([0])).toThrow(disposed)
    await expect(runner.forward({ input: { tokens: Int32Array.of(4) }, cache })).rejects.toEqual(disposed)
    expect(await runRows(runner, fork, [4])).toHaveLength(1)
    await runner.dispose()
  })
})
