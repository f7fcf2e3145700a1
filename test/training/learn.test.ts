/** Training as a whole: a small transformer learns English letters in seconds. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, describe, expect, test } from "vitest"
import { readPart } from "../../src/models/trained-part.ts"
import { train } from "../../src/train/trainer.ts"
import { shakespeare } from "../support/shared.ts"
import { characterModel, characters, tinyHyperparameters } from "../support/tiny-transformer.ts"

const folder = mkdtempSync(join(tmpdir(), "forerun-train-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe.skipIf(!existsSync(shakespeare))("a language model of characters (needs ../shared/data)", () => {
  test("falls well below the entropy of single letters", async () => {
    const { ids, count } = characters(shakespeare)
    const frequencies = new Float64Array(count)
    for (const id of ids) frequencies[id]! += 1 / ids.length
    const unigram = frequencies.reduce((sum, p) => sum - p * Math.log(p), 0)
    const progress: number[] = []

    const result = await train({
      recipe: { method: "tiny", metric: { name: "loss", better: "lower", expected: "below 2.3" } },
      training: characterModel(ids, { vocabulary: count, width: 64, heads: 4, layers: 2, length: 64 }),
      hyper: tinyHyperparameters,
      options: {},
      target: { sha256: "0".repeat(64) },
      folder,
      seed: 1,
      threads: 1,
      onProgress: ({ loss, tokensPerSecond, secondsLeft }) => progress.push(loss, tokensPerSecond, secondsLeft),
    })

    expect(unigram).toBeGreaterThan(3.2)
    expect(result.loss.first).toBeGreaterThan(unigram) // it begins knowing nothing
    expect(result.metric.value).toBeLessThan(unigram - 1)
    expect(result.loss.last).toBeLessThan(unigram - 1)
    expect(result).toMatchObject({ method: "tiny", steps: 450, end: "done" })
    expect(progress.every(Number.isFinite)).toBe(true)

    const { record, tensors } = readPart(folder)
    expect(record.get("method")).toBe("tiny")
    expect(tensors.get("embedding")!.shape).toEqual([count, 64])
    expect(readFileSync(join(folder, "loss.svg"), "utf8")).toMatch(/^<svg.*<path.*<circle.*<\/svg>$/s)
  }, 300_000)
})
