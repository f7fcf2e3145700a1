/** The measurement runs what it says it runs. */
import { expect, test } from "vitest"
import { makeTinyFolder } from "../../test/support/tiny-folder.ts"
import { loadModel } from "../generate/load.ts"
import { measureConcurrency } from "./concurrency.ts"

test("every number of sequences is timed, alone and behind one prompt", async () => {
  const tiny = makeTinyFolder()
  const stages: number[] = []
  try {
    const result = await measureConcurrency({
      sequences: [1, 3],
      promptTokens: 20,
      tokens: 4,
      repetitions: 1,
      onProgress: ({ done }) => stages.push(done),
      openModel: () => loadModel(tiny.path, { weights: "f32", threads: 1 }),
    })
    expect(stages).toEqual([0, 1])
    expect(result).toMatchObject({ kind: "concurrency", weights: "f32", threads: 1, promptTokens: 20, tokens: 4 })
    expect(result.rows.map(({ sequences }) => sequences)).toEqual([1, 3])
    for (const row of result.rows) expect(Math.min(row.tokensPerSecond, row.sharedTokensPerSecond)).toBeGreaterThan(0)
  } finally {
    tiny.remove()
  }
})
