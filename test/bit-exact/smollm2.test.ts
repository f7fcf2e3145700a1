/** The same promises on a real model, SmolLM2-135M, in every format. */
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { type WeightFormat, weightFormats } from "../../src/models/formats.ts"
import { createTokenizer } from "../../src/text/tokenizer.ts"
import { differences, oneByOne, type RowBits, runRows } from "../support/bit-exact.ts"
import { full, goldens, hasSmollm2, needsModels, smollm2 } from "../support/shared.ts"
import { integerFrom, seeded } from "../support/tiny-model.ts"
import { openRunner, range, type TestRunner } from "../support/tiny-runner.ts"

const start = 112
const decoded = 40

/** The other two run as well under FORERUN_FULL=1. */
const formats: readonly WeightFormat[] = full ? weightFormats : ["f32", "as-is", "q8"]

describe.skipIf(!hasSmollm2).each(formats)(`SmolLM2-135M in %s ${needsModels}`, (weights) => {
  let opened: TestRunner
  let tokens: number[]
  let alone: RowBits[]
  beforeAll(async () => {
    opened = await openRunner(smollm2, weights)
    const text = readFileSync(join(goldens, "..", "data", "wikitext2", "valid.txt"), "utf8").slice(0, 3000)
    tokens = Array.from(createTokenizer(opened.checkpoint.tokenizer!).encode(text))
    const { runner } = opened
    const cache = runner.openCache()
    await runRows(runner, cache, tokens.slice(0, start))
    alone = await oneByOne(runner, cache, tokens.slice(start, start + decoded))
  }, 180_000)
  afterAll(() => opened.dispose())

  test("chains of 2 to 32, over the end of a block, after fork and rewind", async () => {
    const { runner } = opened
    const trunk = runner.openCache()
    for (let at = 0; at < start; at += 7) await runRows(runner, trunk, tokens.slice(at, Math.min(start, at + 7)))
    for (const size of full ? [2, 3, 4, 8, 13, 32] : [2, 8, 32]) {
      const cache = trunk.fork()
      const found: RowBits[] = []
      while (found.length < decoded) {
        const at = found.length
        found.push(...(await runRows(runner, cache, tokens.slice(start + at, start + Math.min(decoded, at + size)))))
      }
      cache.rewind(120) // into the block that has closed meanwhile
      found.push(...(await runRows(runner, cache, tokens.slice(120, 125))))
      expect(differences(`chain of ${size}`, [...alone, ...alone.slice(8, 13)], found)).toEqual([])
      cache.dispose()
    }
  }, 120_000)

  test("a tree in whose paths the text is hidden", async () => {
    const { runner } = opened
    const random = seeded(11)
    const cache = runner.openCache()
    await runRows(runner, cache, tokens.slice(0, start))
    // 16 nodes to the block's end; the first branch at each depth is the text, the others are noise.
    const spine = [0, 2, 3, 6, 7, 11, 15]
    const parents = range(16).map((row) =>
      spine.includes(row) ? (spine[spine.indexOf(row) - 1] ?? -1) : integerFrom(random, -1, row - 1),
    )
    const depths: number[] = []
    for (const parent of parents) depths.push(parent < 0 ? 0 : depths[parent]! + 1)
    const nodes = range(16).map((row) =>
      spine.includes(row) ? tokens[start + spine.indexOf(row)]! : integerFrom(random, 0, 49151),
    )
    const found = await runRows(runner, cache, nodes, {
      positions: depths.map((depth) => start + depth),
      mask: { parents: Int32Array.from(parents) },
      keep: spine,
    })
    expect(
      differences(
        "spine",
        alone.slice(0, 7),
        spine.map((row) => found[row]!),
      ),
    ).toEqual([])
    const next = await runRows(runner, cache, tokens.slice(start + 7, start + 15))
    expect(differences("after the tree", alone.slice(7, 15), next)).toEqual([])
  }, 120_000)
})
