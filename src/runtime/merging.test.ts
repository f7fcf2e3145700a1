/** Who runs together, and that mates do not hurt each other: failures, NaN, aborts, and the change of graphs. */
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { randomTokens, tinyCheckpoint } from "../../test/support/tiny-model.ts"
import { range } from "../../test/support/tiny-runner.ts"
import { ForerunError } from "../base/errors.ts"
import { createEmbed } from "../models/embedding.ts"
import type { Page } from "./arena.ts"
import { loadRunner, loadSession } from "./load-runner.ts"
import { chooseMembers } from "./merge-queue.ts"
import { cutPieces, type Member, manyVisitors, pieceLength } from "./merged-plan.ts"
import { SessionRunner } from "./model-runner.ts"
import type { Resolved } from "./resolve-pass.ts"

const size = { hidden: 32, heads: 2, kvHeads: 1, headSize: 16, layers: 2, intermediate: 32, vocabulary: 40 }
const checkpoint = tinyCheckpoint({ family: "llama", seed: 8, context: 512, ...size })
const options = { weights: "f32", threads: 1, device: "cpu" } as const
const prompt = (seed: number, count = 5) => ({ tokens: Int32Array.from(randomTokens(count, 40, seed)) })
const last = { logits: "last" } as const

describe("who runs together", () => {
  const limits = { rows: 10, members: 4 }
  const pass = (rows: number, more: Partial<Resolved> = {}) =>
    ({ rows, past: 0, layers: [0, 2], logitRows: [0], top: 0, ...more }) as Resolved
  const chosen = (...waiting: Resolved[]) => chooseMembers(waiting, 2, limits)

  test("the oldest, then small passes before parts of prompts, as long as they fit", () => {
    const wide = { rows: 60, members: 4 }
    expect(chooseMembers([pass(1), pass(40), pass(3), pass(30), pass(2)], 2, wide)).toEqual([0, 2, 4, 1])
    expect(chosen(pass(1), pass(1), pass(9), pass(2))).toEqual([0, 1, 3])
    expect(chosen(...range(6).map(() => pass(1)))).toEqual([0, 1, 2, 3])
  })
  test("one that is too large for the limit runs, by itself", () => {
    expect(chosen(pass(100), pass(1))).toEqual([0])
  })
  test("a part of the layers and rows that cross a block's end run by themselves", () => {
    expect(chosen(pass(1, { layers: [0, 1] }), pass(1))).toEqual([0])
    expect(chosen(pass(1), pass(1, { layers: [1, 2] }), pass(1))).toEqual([0, 2])
    expect(chosen(pass(1), pass(3, { past: 126 }), pass(2, { past: 126 }))).toEqual([0, 2])
  })
  test("whole logits and the largest ones are not of one pass; one that wants none goes with both", () => {
    expect(chosen(pass(1), pass(1, { top: 5 }), pass(1, { logitRows: [], top: 5 }))).toEqual([0, 2])
    expect(chosen(pass(1, { top: 5 }), pass(1, { top: 4 }), pass(1, { top: 5 }))).toEqual([0, 2])
  })
})

describe("pieces", () => {
  test("equal rows stay whole; a chunk beside single rows is cut, single rows are not filled up to it", () => {
    expect(pieceLength([1, 1, 1])).toBe(1)
    expect(pieceLength([30, 30])).toBe(30)
    const mixed = pieceLength([128, ...range(16).map(() => 1)])
    expect(mixed).toBeGreaterThan(1)
    expect(mixed).toBeLessThan(32)
  })
  test("every row is in one piece, and a piece's window has the new rows up to its own", () => {
    const member = (rows: number, seesAhead: boolean): Member => ({ first: 0, rows, tail: 0, pages: [], seesAhead })
    expect(cutPieces([member(5, false), member(3, true)], 2)).toEqual([
      { member: 0, from: 0, to: 2, news: 2 },
      { member: 0, from: 2, to: 4, news: 4 },
      { member: 0, from: 4, to: 5, news: 5 },
      { member: 1, from: 0, to: 2, news: 3 },
      { member: 1, from: 2, to: 3, news: 3 },
    ])
  })
  test("pages with many visitors are kept apart only where that is cheaper", () => {
    expect(manyVisitors([1, 1, 1])).toBe(2)
    expect(manyVisitors([16, 16, 1, 1, 1])).toBe(16)
    expect(manyVisitors([])).toBe(1)
  })
})

describe("mates", () => {
  let alone: Float32Array[]
  let runner: SessionRunner
  /** Throws for a pass that has a NaN among its inputs, if told to. */
  let isStrict = false
  beforeAll(async () => {
    const plain = await loadRunner(checkpoint, options)
    alone = []
    for (const seed of [1, 2, 3])
      alone.push((await plain.forward({ input: prompt(seed), want: last })).logits!.data.slice())
    await plain.dispose()
    const made = await loadSession(checkpoint, options, { steerable: false, merged: true })
    runner = new SessionRunner({
      facts: made.facts,
      embed: createEmbed(checkpoint.config, checkpoint.weights),
      session: {
        ...made.session,
        async run(feeds, fetches) {
          if (isStrict && (feeds.x!.data as Float32Array).some(Number.isNaN))
            throw new ForerunError("E_RUNTIME", "not a number")
          return made.session.run(feeds, fetches)
        },
      },
    })
  })
  afterAll(() => runner.dispose())

  const three = () => [1, 2, 3].map((seed) => runner.forward({ input: prompt(seed), want: last }))
  const bits = async (passes: Promise<{ logits?: { data: Float32Array } }>[]) =>
    (await Promise.all(passes)).map(({ logits }) => logits!.data.slice())
  const nan = () => runner.forward({ input: { embeddings: new Float32Array(32).fill(Number.NaN) }, want: last })

  test("three passes asked for together are one", async () => {
    const before = runner.ledger.totals()
    expect(await bits(three())).toEqual(alone)
    expect(runner.ledger.since(before)).toMatchObject({ passes: 1, rows: 15, logitRows: 3 })
  })

  test("one that is refused, one full of NaN: the others have their bits", async () => {
    const bad = runner.forward({ input: { tokens: Int32Array.of(99) } })
    const refused = expect(bad).rejects.toMatchObject({ code: "E_INPUT" })
    const broken = nan()
    expect(await bits(three())).toEqual(alone)
    await refused
    expect((await broken).logits!.data.every(Number.isNaN)).toBe(true)
  })

  test("when a merged pass fails, only its cause fails", async () => {
    isStrict = true
    const broken = expect(nan()).rejects.toMatchObject({ code: "E_RUNTIME" })
    const found = bits(three())
    await broken
    expect(await found).toEqual(alone)
    isStrict = false
  })

  test("a cache that is disposed while its pass waits fails that pass alone", async () => {
    const cache = runner.openCache()
    ;(await runner.forward({ input: prompt(7), cache })).keep(range(5))
    const gone = expect(runner.forward({ input: prompt(1), cache })).rejects.toMatchObject({ code: "E_DISPOSED" })
    const others = bits(three())
    cache.dispose()
    await gone
    expect(await others).toEqual(alone)
    expect(runner.arena.pages).toHaveLength(0)
  })

  test("each run's ledger holds its share", async () => {
    const runs = [1, 2].map(() => runner.forRun())
    await Promise.all(runs.map((run, i) => run.forward({ input: prompt(i + 1), want: last })))
    const totals = runs.map(({ ledger }) => ledger.totals())
    for (const one of totals) expect(one).toMatchObject({ passes: 1, rows: 5, logitRows: 1 })
    expect(totals[0]!.milliseconds).toBeGreaterThan(0)
  })
})

test("the merging graph comes when what it would have saved exceeds its price, and not before", async () => {
  const made: object[] = []
  const runnerAt = async (price: number) =>
    new SessionRunner({
      ...(await loadSession(checkpoint, options, { steerable: false, merged: false })),
      embed: createEmbed(checkpoint.config, checkpoint.weights),
      price,
      rebuild: (powers) => {
        made.push(powers)
        return loadSession(checkpoint, options, powers)
      },
    })
  for (const [price, passes] of [
    [Number.POSITIVE_INFINITY, 20],
    [0, 10],
  ] as const) {
    const runner = await runnerAt(price)
    for (const seed of range(10))
      await Promise.all([runner.forward({ input: prompt(seed) }), runner.forward({ input: prompt(seed + 1) })])
    expect(runner.ledger.totals().passes).toBe(passes)
    await runner.dispose()
  }
  expect(made).toEqual([{ steerable: false, merged: true }])
})

test("the plain graph comes back when one sequence has run alone long enough, and nothing changes but time", async () => {
  const made: unknown[] = []
  const runner = new SessionRunner({
    ...(await loadSession(checkpoint, options, { steerable: false, merged: false })),
    embed: createEmbed(checkpoint.config, checkpoint.weights),
    price: 0,
    rebuild: (powers) => {
      made.push(powers)
      return loadSession(checkpoint, options, powers)
    },
  })
  const graphs = () => made.map((powers) => (powers as { merged: boolean }).merged)
  const [first, second] = [runner.openCache(), runner.openCache()]
  const read = async (cache: typeof first, seed: number) =>
    (await runner.forward({ input: prompt(seed, 130), cache })).keep(range(128))
  await Promise.all([read(first, 1), read(second, 2)])
  expect(graphs()).toEqual([true])
  const steps = []
  for (let i = 0; i < 3; i++) {
    const pass = await runner.forward({ input: prompt(3), cache: first, want: { logits: "last" } })
    steps.push(Array.from(pass.logits!.data))
  }
  expect(graphs()).toEqual([true, false]) // the first of the three still ran on the merging graph
  expect(steps[1]).toEqual(steps[0])
  expect(steps[2]).toEqual(steps[0])
  await Promise.all([read(second, 4), read(second.fork(), 5)])
  expect(graphs()).toEqual([true, false, true])
  await runner.dispose()
})

test("pages keep what they hold when others go or change places", async () => {
  const runner = await loadRunner(checkpoint, { ...options, merged: true })
  const caches = []
  for (const seed of range(4)) {
    const cache = runner.openCache()
    ;(await runner.forward({ input: prompt(seed, 260), cache })).keep(range(260))
    caches.push(cache)
  }
  const content = (page: Page) => {
    const { pageKeys, pageValues } = runner.arena.layers[1]!
    const part = (array: Float32Array) =>
      Array.from(array.subarray(page.index * runner.arena.pageSize, (page.index + 1) * runner.arena.pageSize))
    return [part(pageKeys), part(pageValues)]
  }
  const before = caches[3]!.pages(1).map(content)
  caches[0]!.dispose() // the last pages take its places
  runner.arena.swap(caches[3]!.pages(1)[0]!, caches[1]!.pages(1)[1]!)
  expect(caches[3]!.pages(1).map(content)).toEqual(before)
  runner.arena.arrange(caches[3]!.pages(1))
  expect(runner.arena.inRow(caches[3]!.pages(1))).toBe(true)
  expect(caches[3]!.pages(1).map(content)).toEqual(before)
  await runner.dispose()
})
