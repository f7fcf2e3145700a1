/** The tiny GGUFs of every block type, dequantised exactly (f32) and with their own blocks (as-is). */
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { floats, type GoldenTensor, goldens, hasGoldens, needsGoldens, readGolden } from "../support/shared.ts"
import { greedy, maxDifference, openRunner, range, rowOf, type TestRunner } from "../support/tiny-runner.ts"

interface GgufGolden {
  readonly files: Readonly<
    Record<
      string,
      { readonly input_ids: number[]; readonly logits: GoldenTensor; readonly greedy_new_tokens: number[] }
    >
  >
}

const files = ["f16", "bf16", "q8_0", "legacy_mix", "k_mix", "q4_k_m", "other_mix"].map((name) => `tiny-${name}.gguf`)
/** Types that are not blocks: as-is is float32 then, and nothing may be lost. */
const plain = ["tiny-f16.gguf", "tiny-bf16.gguf"]

function correlation(a: Float32Array, b: Float32Array): number {
  const mean = (values: Float32Array) => values.reduce((sum, value) => sum + value, 0) / values.length
  const [meanA, meanB] = [mean(a), mean(b)]
  let [ab, aa, bb] = [0, 0, 0]
  for (let i = 0; i < a.length; i++) {
    ab += (a[i]! - meanA) * (b[i]! - meanB)
    aa += (a[i]! - meanA) ** 2
    bb += (b[i]! - meanB) ** 2
  }
  return ab / Math.sqrt(aa * bb)
}

async function logitsOf({ runner }: TestRunner, ids: readonly number[]): Promise<Float32Array> {
  const pass = await runner.forward({ input: { tokens: Int32Array.from(ids) }, want: { logits: "all" } })
  return pass.logits!.data
}

describe.skipIf(!hasGoldens).each(files)(`golden GGUF %s ${needsGoldens}`, (file) => {
  let golden: GgufGolden["files"][string]
  let exact: TestRunner
  beforeAll(async () => {
    golden = readGolden<GgufGolden>("gguf", "golden.json").files[file]!
    exact = await openRunner(join(goldens, "gguf", file), "f32")
  })
  afterAll(() => exact.dispose())

  test("f32: logits", async () => {
    const logits = await logitsOf(exact, golden.input_ids)
    expect(maxDifference(logits, floats(golden.logits))).toBeLessThan(1e-4)
  })

  test("f32: greedy continuation", async () => {
    const { tokens } = await greedy(exact.runner, golden.input_ids, golden.greedy_new_tokens.length)
    expect(tokens).toEqual(golden.greedy_new_tokens)
  })

  test("as-is: logits, activations in 8 bits where weights are blocks", async () => {
    const opened = await openRunner(join(goldens, "gguf", file), "as-is")
    const logits = await logitsOf(opened, golden.input_ids)
    const reference = floats(golden.logits)
    if (plain.includes(file)) expect(maxDifference(logits, reference)).toBeLessThan(1e-4)
    else {
      // llama.cpp, which rounds activations alike, reaches 0.9994 (README of the goldens).
      const columns = golden.logits.shape[1]!
      const rows = range(golden.logits.shape[0]!)
      const worst = Math.min(...rows.map((r) => correlation(rowOf(logits, r, columns), rowOf(reference, r, columns))))
      expect(correlation(logits, reference)).toBeGreaterThan(0.9994)
      expect(worst).toBeGreaterThan(0.998)
      expect(maxDifference(logits, reference)).toBeGreaterThan(1e-4) // it did run in blocks
    }
    await opened.dispose()
  })
})
