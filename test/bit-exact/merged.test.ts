/** Sequences that run together: each row has the bits that it has alone, whoever its mates are and whatever they do. */
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest"
import type { HostCache } from "../../src/runtime/kv-cache.ts"
import type { SessionRunner } from "../../src/runtime/model-runner.ts"
import { differences, oneByOne, type RowBits, runRows } from "../support/bit-exact.ts"
import { integerFrom, randomTokens, seeded } from "../support/tiny-model.ts"
import { range } from "../support/tiny-runner.ts"
import { type Case, cases, oneFormatEach, openCase } from "./models.ts"

const length = 200
/** Sequences 0 to 2 begin with the same 140 tokens. */
const textsOf = ({ model }: Case): number[][] => {
  const shared = randomTokens(140, model.vocabulary, model.seed + 100)
  return range(5).map((i) => {
    const own = randomTokens(length, model.vocabulary, model.seed + i)
    return i < 3 ? [...shared, ...own.slice(140)] : own
  })
}

/** NaN in all memory of the arena that no cache owns. */
function poison({ arena }: SessionRunner): number {
  let poisoned = 0
  for (const { pageKeys, pageValues, tailKeys, tailValues } of arena.layers) {
    for (const array of [pageKeys, pageValues]) {
      const rest = array.subarray(arena.pages.length * arena.pageSize)
      rest.fill(Number.NaN)
      poisoned += rest.length
    }
    for (const array of [tailKeys, tailValues]) {
      const rest = array.subarray((1 + arena.tails * 128) * arena.rowSize)
      rest.fill(Number.NaN)
      poisoned += rest.length
    }
  }
  return poisoned
}

/** What one sequence does: chains of random length, now and then a fork that goes its own way or a step back. */
async function live(
  runner: SessionRunner,
  start: HostCache,
  { tokens, alone, seed }: { tokens: number[]; alone: RowBits[]; seed: number },
): Promise<string[]> {
  const random = seeded(seed)
  const found: string[] = []
  let cache = start
  while (cache.length < length) {
    const at = cache.length
    const size = [1, 1, 1, 1, 2, 7, 33, 128][integerFrom(random, 0, 7)]!
    const end = Math.min(length, at + size)
    const deed = random()
    if (deed < 0.1) {
      const fork = cache.fork()
      await runRows(runner, fork, randomTokens(integerFrom(random, 1, 20), runner.config.vocabulary, seed + at))
      if (deed < 0.05) fork.dispose()
      else {
        fork.rewind(at)
        cache.dispose()
        cache = fork
      }
    } else if (deed < 0.15 && at > 10) cache.rewind(at - 10)
    else {
      const rows = await runRows(runner, cache, tokens.slice(at, end))
      found.push(...differences(`tokens ${at} to ${end}`, alone.slice(at, end), rows))
    }
  }
  cache.dispose()
  return found
}

/** A format each, and as-is of every model that has it. */
const chosen = [...new Set([...oneFormatEach, ...cases.filter(({ weights }) => weights === "as-is")])]

describe.each(chosen)("$name", (one) => {
  const texts = textsOf(one)
  let merged: SessionRunner
  let alone: RowBits[][]
  beforeAll(async () => {
    const plain = await openCase(one)
    alone = []
    for (const tokens of texts) alone.push(await runRows(plain, plain.openCache(), tokens))
    await plain.dispose()
    merged = await openCase(one, 2, true)
  })
  afterAll(() => merged.dispose())

  test("alone through the merging graph", async () => {
    const cache = merged.openCache()
    await runRows(merged, cache, texts[0]!.slice(0, 100))
    const found = await oneByOne(merged, cache, texts[0]!.slice(100, 160))
    expect(differences("alone", alone[0]!.slice(100, 160), found)).toEqual([])
    cache.dispose()
  })

  test("five sequences with random steps, forks and rewinds", async () => {
    const before = merged.ledger.totals()
    const found = await Promise.all(
      texts.map((tokens, i) => live(merged, merged.openCache(), { tokens, alone: alone[i]!, seed: i + 1 })),
    )
    expect(found.flat()).toEqual([])
    const { passes, rows } = merged.ledger.since(before)
    expect(passes * 2).toBeLessThan(rows) // they did run together
  })

  test("forks of one prefix, with NaN in all memory that nobody owns", async () => {
    const prefix = merged.openCache()
    await runRows(merged, prefix, texts[0]!.slice(0, 140))
    const caches = range(3).map(() => prefix.fork())
    prefix.dispose()
    for (const at of range(20, 140)) {
      expect(poison(merged)).toBeGreaterThanOrEqual(0)
      const rows = await Promise.all(caches.map((cache, i) => runRows(merged, cache, [texts[i]![at]!])))
      for (const i of range(3)) expect(differences(`${i} at ${at}`, [alone[i]![at]!], rows[i]!)).toEqual([])
    }
    for (const cache of caches) cache.dispose()
  })
})

describe("memory", () => {
  test("is given back when the last cache goes", async () => {
    const runner = await openCase(cases[0]!, 1, true)
    const empty = runner.arena.bytes
    const caches = range(8).map(() => runner.openCache())
    await Promise.all(caches.map((cache, i) => runRows(runner, cache, randomTokens(200, 100, i))))
    const forks = caches.map((cache) => cache.fork())
    expect(runner.arena.pages).toHaveLength(8) // a fork holds the same page
    expect(runner.arena.bytes).toBeGreaterThan(empty)
    for (const cache of [...caches, ...forks]) cache.dispose()
    expect(runner.arena.pages).toHaveLength(0)
    expect(runner.arena.bytes).toBeGreaterThan(empty) // the next ones may come at once
    await vi.waitFor(() => expect(runner.arena.bytes).toBe(empty), { timeout: 5000 })
    await runner.dispose()
  })
})
