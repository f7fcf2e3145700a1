/** The measurement runs the job it says it runs, in every way it names, and counts what was computed. */
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { expect, test } from "vitest"
import { makeTinyFolder } from "../../test/support/tiny-folder.ts"
import { loadModel } from "../generate/load.ts"
import { measureJob } from "./job.ts"

test("with all three ideas, and without each: what is shared is computed once, or as often as it is asked for", async () => {
  const tiny = makeTinyFolder()
  const file = join(tiny.path, "job.jsonl")
  const shared = Array.from({ length: 20 }, (_, i) => i + 3)
  const lines = [0, 1, 2, 3].map((i) => {
    const body = { prompt: [...shared, 40 + i, 50 + i], max_tokens: 3 }
    return JSON.stringify({ custom_id: `r${i}`, method: "POST", url: "/v1/completions", body })
  })
  writeFileSync(file, lines.join("\n"))
  try {
    const result = await measureJob({
      file,
      repetitions: 1,
      openModel: () => loadModel(tiny.path, { weights: "f32", threads: 1 }),
    })
    expect(result).toMatchObject({ kind: "job", job: "job", requests: 4, groups: 1, logicalTokens: 88 })
    expect(result.plannedTokens).toBe(20 + 4 * 2)
    expect(result.rows.map(({ name, prefillTokens, decodeTokens }) => [name, prefillTokens, decodeTokens])).toEqual([
      ["all three ideas", 28, 12],
      ["without sharing", 88, 12],
      ["without order by ratio", 28, 12],
      ["without memory-centric batching", 28, 12],
    ])
    expect(result.rows[0]!.ratio).toBeUndefined()
    for (const { ratio } of result.rows.slice(1)) expect(ratio!.median).toBeGreaterThan(0)
  } finally {
    tiny.remove()
  }
})
