/** What a pass refuses: with a typed error, before anything is computed, and with the cache as it was. */
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { randomTokens, tinyCheckpoint } from "../../test/support/tiny-model.ts"
import { cacheOf, range } from "../../test/support/tiny-runner.ts"
import type { ErrorCode } from "../base/errors.ts"
import type { HostCache } from "./kv-cache.ts"
import { loadRunner } from "./load-runner.ts"
import type { SessionRunner } from "./model-runner.ts"
import type { ForwardPass } from "./pass.ts"

const vocabulary = 50
const hidden = 32
const context = 64
const past = 20

let runner: SessionRunner
let cache: HostCache
beforeAll(async () => {
  const sizes = { hidden, heads: 2, kvHeads: 1, headSize: 16, layers: 3, intermediate: 48, vocabulary, context }
  const checkpoint = tinyCheckpoint({ family: "mistral", seed: 31, window: 8, ...sizes })
  runner = await loadRunner(checkpoint, { weights: "f32", threads: 1, device: "cpu" })
  cache = await cacheOf(runner, randomTokens(past, vocabulary, 1))
})
afterAll(() => runner.dispose())

const tokens = (...ids: number[]) => ({ tokens: Int32Array.from(ids) })
const three = tokens(1, 2, 3)
const matrix = (rows: number, columns: number, one: (row: number, column: number) => boolean) => ({
  rows,
  columns,
  data: Uint8Array.from({ length: rows * columns }, (_, i) => (one(Math.floor(i / columns), i % columns) ? 1 : 0)),
})
const own = (row: number, column: number) => column === past + row
const columns = past + 3

const refused: readonly (readonly [string, ErrorCode, Omit<ForwardPass, "cache">])[] = [
  ["no rows", "E_INPUT", { input: tokens() }],
  ["a token past the vocabulary", "E_INPUT", { input: tokens(1, vocabulary) }],
  ["a negative token", "E_INPUT", { input: tokens(-1) }],
  ["part of a row of embeddings", "E_INPUT", { input: { embeddings: new Float32Array(hidden + 1) } }],
  ["no embeddings", "E_INPUT", { input: { embeddings: new Float32Array(0) } }],
  [
    "more rows than the context holds",
    "E_CONTEXT_LENGTH",
    { input: tokens(...range(context - past + 1).map(() => 1)) },
  ],
  ["fewer positions than rows", "E_INPUT", { input: three, positions: Int32Array.of(20, 21) }],
  ["a negative position", "E_INPUT", { input: tokens(1), positions: Int32Array.of(-1) }],
  ["a position past the context", "E_INPUT", { input: tokens(1), positions: Int32Array.of(context) }],
  ["a tree of another size", "E_INPUT", { input: three, mask: { parents: Int32Array.of(-1, 0) } }],
  ["a tree whose row is its own parent", "E_INPUT", { input: three, mask: { parents: Int32Array.of(-1, 1, 0) } }],
  ["a tree whose parent comes later", "E_INPUT", { input: three, mask: { parents: Int32Array.of(1, -1, 0) } }],
  ["a tree with a parent below -1", "E_INPUT", { input: three, mask: { parents: Int32Array.of(-1, -2, 0) } }],
  ["a matrix without the past", "E_INPUT", { input: three, mask: matrix(3, 3, () => true) }],
  ["a matrix with too few rows", "E_INPUT", { input: three, mask: matrix(2, columns, () => true) }],
  [
    "a matrix that lies about its size",
    "E_INPUT",
    { input: three, mask: { ...matrix(3, columns, own), data: new Uint8Array(5) } },
  ],
  ["a row that sees nothing", "E_INPUT", { input: three, mask: matrix(3, columns, (r, c) => r !== 1 && own(r, c)) }],
  [
    "a row that sees nothing inside the window",
    "E_INPUT",
    { input: three, mask: matrix(3, columns, (r, c) => (r === 1 ? c < 10 : own(r, c))) },
  ],
  ["an unknown mask", "E_INPUT", { input: three, mask: "diagonal" as "causal" }],
  ["logits of a row that is not there", "E_INPUT", { input: three, want: { logits: [3] } }],
  ["logits of half a row", "E_INPUT", { input: three, want: { logits: [0.5] } }],
  ["more of the largest than there are", "E_INPUT", { input: three, want: { top: vocabulary + 1 } }],
  ["NaN of the largest", "E_INPUT", { input: three, want: { top: Number.NaN } }],
  ["a hidden state past the layers", "E_INPUT", { input: three, want: { hidden: [4] } }],
  ["a hidden state outside the span", "E_INPUT", { input: three, layers: [0, 1], want: { hidden: [2] } }],
  ["layers past the last", "E_INPUT", { input: three, layers: [0, 4] }],
  ["layers backwards", "E_INPUT", { input: { hidden: new Float32Array(hidden) }, layers: [2, 1] }],
  ["half a layer", "E_INPUT", { input: three, layers: [0, 1.5] }],
  ["tokens into a middle layer", "E_INPUT", { input: three, layers: [1, 3] }],
]

describe("a pass refuses", () => {
  test.each(refused)("%s: %s", async (_, code, pass) => {
    const before = runner.ledger.totals()
    await expect(runner.forward({ ...pass, cache })).rejects.toMatchObject({ name: "ForerunError", code })
    expect(runner.ledger.totals()).toEqual(before)
    expect(cache.length).toBe(past)
  })

  test("a cache of another kind", async () => {
    const fake = { length: 0, fork: () => fake, rewind() {}, dispose() {} }
    await expect(runner.forward({ input: three, cache: fake })).rejects.toMatchObject({ code: "E_INPUT" })
  })

  test("layers whose caches differ in length", async () => {
    const uneven = cache.fork()
    const lower = await runner.forward({ input: tokens(1), cache: uneven, layers: [0, 1], want: { hidden: [1] } })
    lower.keep([0])
    await expect(runner.forward({ input: tokens(2), cache: uneven })).rejects.toMatchObject({ code: "E_INPUT" })
    // Rewinding brings the layers back together.
    uneven.rewind(past)
    expect(await runner.forward({ input: tokens(2), cache: uneven })).toBeDefined()
  })

  test("what is as large as fits is taken", async () => {
    const pass = await runner.forward({ input: tokens(...range(context - past)), cache, want: { logits: "last" } })
    expect(pass.logits!.rows).toBe(1)
  })
})

describe("keep refuses", () => {
  test("rows that are not there, and a second time", async () => {
    const fork = cache.fork()
    const pass = await runner.forward({ input: three, cache: fork })
    for (const rows of [[3], [-1], [0.5], [0, 9]])
      expect(() => pass.keep(rows)).toThrow(expect.objectContaining({ code: "E_INPUT" }))
    expect(fork.length).toBe(past)
    pass.keep([0, 2])
    expect(fork.length).toBe(past + 2)
    expect(() => pass.keep([1])).toThrow(expect.objectContaining({ code: "E_INPUT" }))
  })

  test("a rewind to where the cache has not been", () => {
    for (const length of [past + 1, -1, 0.5, Number.NaN])
      expect(() => cache.rewind(length)).toThrow(expect.objectContaining({ code: "E_INPUT" }))
    expect(cache.length).toBe(past)
  })
})

test("a pass that cannot run is refused at once, and the others run in order", async () => {
  const order: string[] = []
  const note = (name: string) => () => order.push(name)
  await Promise.all([
    runner.forward({ input: three }).then(note("first")),
    runner.forward({ input: tokens() }).catch(note("refused")),
    runner.forward({ input: three }).then(note("third")),
  ])
  expect(order).toEqual(["refused", "first", "third"])
})
