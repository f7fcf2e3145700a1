/** Any mask, any positions, windows: against a naive float64 model that knows nothing of caches, blocks or biases. */
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { referenceLogits } from "../../test/support/reference-llama.ts"
import { integerFrom, randomTokens, seeded, type TinyModel, tinyCheckpoint } from "../../test/support/tiny-model.ts"
import { cacheOf, maxDifference, range, rowOf } from "../../test/support/tiny-runner.ts"
import type { Checkpoint } from "../models/files/checkpoint.ts"
import { loadRunner } from "./load-runner.ts"
import type { SessionRunner } from "./model-runner.ts"

const base = { hidden: 48, layers: 2, intermediate: 64, vocabulary: 60, context: 512 }
const models: readonly (readonly [string, TinyModel])[] = [
  ["llama, groups of 2", { ...base, family: "llama", seed: 21, heads: 4, kvHeads: 2, headSize: 16 }],
  ["llama, groups of 1", { ...base, family: "llama", seed: 22, heads: 3, kvHeads: 3, headSize: 16 }],
  ["mistral, window of 9", { ...base, family: "mistral", seed: 23, heads: 6, kvHeads: 2, headSize: 16, window: 9 }],
  ["mistral, window of 140", { ...base, family: "mistral", seed: 24, heads: 2, kvHeads: 1, headSize: 32, window: 140 }],
]

describe.each(models)("%s", (_, model) => {
  let checkpoint: Checkpoint
  let runner: SessionRunner
  const tokens = randomTokens(300, model.vocabulary, model.seed)
  beforeAll(async () => {
    checkpoint = tinyCheckpoint(model)
    runner = await loadRunner(checkpoint, { weights: "f32", threads: 1, device: "cpu" })
  })
  afterAll(() => runner.dispose())

  /** Rows after `past` causal ones; `sees` speaks of the new rows only in terms of all columns. */
  const reference = (
    past: number,
    rows: readonly number[],
    positions: readonly number[],
    sees: (row: number, column: number) => boolean,
  ) =>
    referenceLogits(checkpoint, {
      tokens: [...tokens.slice(0, past), ...rows],
      positions: [...range(past), ...positions],
      sees: (i, j) => (i < past ? j <= i : sees(i - past, j)),
    }).slice(past)

  const differences = (data: Float32Array, expected: readonly Float64Array[]) =>
    expected.map((row, i) => maxDifference(rowOf(data, i, model.vocabulary), row)).filter((d) => !(d < 1e-4))

  test.each([1, 60, 129, 290])("causal, %i tokens in one pass", async (count) => {
    const input = { tokens: Int32Array.from(tokens.slice(0, count)) }
    const { logits } = await runner.forward({ input, want: { logits: "all" } })
    const expected = reference(0, tokens.slice(0, count), range(count), (row, column) => column <= row)
    expect(differences(logits!.data, expected)).toEqual([])
  })

  test.each([
    [0, 20],
    [5, 20],
    [128, 12],
    [200, 30],
    [260, 12],
  ])("bidirectional after %i cached, %i rows", async (past, count) => {
    const cache = await cacheOf(runner, tokens.slice(0, past))
    const rows = tokens.slice(past, past + count)
    const pass = await runner.forward({
      input: { tokens: Int32Array.from(rows) },
      mask: "bidirectional",
      cache,
      want: { logits: "all" },
    })
    const expected = reference(past, rows, range(count, past), () => true)
    expect(differences(pass.logits!.data, expected)).toEqual([])
  })

  test.each([
    [0, 16],
    [30, 20],
    [128, 10],
    [200, 25],
    [270, 8],
  ])("a random matrix and random positions after %i cached, %i rows", async (past, count) => {
    const random = seeded(model.seed * 100 + past)
    const cache = await cacheOf(runner, tokens.slice(0, past))
    const rows = tokens.slice(past, past + count)
    const columns = past + count
    const positions = rows.map(() => Math.max(0, past + integerFrom(random, -4, 6)))
    const data = Uint8Array.from({ length: count * columns }, () => (random() < 0.4 ? 1 : 0))
    for (const row of range(count)) data[row * columns + past + row] = 1 // inside any window
    const pass = await runner.forward({
      input: { tokens: Int32Array.from(rows) },
      positions: Int32Array.from(positions),
      mask: { rows: count, columns, data },
      cache,
      want: { logits: "all" },
    })
    const expected = reference(past, rows, positions, (row, column) => data[row * columns + column] === 1)
    expect(differences(pass.logits!.data, expected)).toEqual([])
  })

  test("a matrix whose rows see the past only, and rows that see full blocks only", async () => {
    const past = 140
    const cache = await cacheOf(runner, tokens.slice(0, past))
    const rows = tokens.slice(past, past + 3)
    const columns = past + 3
    const window = checkpoint.config.layer[0]!.slidingWindow ?? 1000
    // The last positions of the first block; within every window from a position just behind it.
    const positions = [130, 130, 130]
    const visible = [range(2, 126), [127], range(3, 125)].map((all) => all.filter((j) => 130 - j < window))
    const data = new Uint8Array(3 * columns)
    for (const [row, all] of visible.entries()) for (const column of all) data[row * columns + column] = 1
    const pass = await runner.forward({
      input: { tokens: Int32Array.from(rows) },
      positions: Int32Array.from(positions),
      mask: { rows: 3, columns, data },
      cache,
      want: { logits: "all" },
    })
    const expected = reference(past, rows, positions, (row, column) => data[row * columns + column] === 1)
    expect(differences(pass.logits!.data, expected)).toEqual([])
  })

  test("rows kept with positions of their own keep them for later windows", async () => {
    const cache = await cacheOf(runner, tokens.slice(0, 20))
    const shifted = Int32Array.from(range(10, 40)) // a gap of 20 positions
    const pass = await runner.forward({
      input: { tokens: Int32Array.from(tokens.slice(20, 30)) },
      positions: shifted,
      cache,
    })
    pass.keep(range(10))
    const last = await runner.forward({
      input: { tokens: Int32Array.of(tokens[30]!) },
      positions: Int32Array.of(50),
      cache,
      want: { logits: "last" },
    })
    const expected = referenceLogits(checkpoint, {
      tokens: tokens.slice(0, 31),
      positions: [...range(20), ...shifted, 50],
      sees: (i, j) => j <= i,
    }).slice(-1)
    expect(differences(last.logits!.data, expected)).toEqual([])
  })
})
