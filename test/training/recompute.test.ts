/** Recomputation: the same gradients from less memory, as the operating system sees it. */
import { execFileSync } from "node:child_process"
import { join } from "node:path"
import { expect, test } from "vitest"
import { repository } from "../support/shared.ts"

function measure(kind: "kept" | "recomputed"): { megabytes: number; d0: number[] } {
  const script = join(repository, "test", "support", "peak-memory.ts")
  const output = execFileSync(process.execPath, ["--import", "tsx", script, kind], {
    cwd: repository,
    encoding: "utf8",
  })
  return JSON.parse(output) as { megabytes: number; d0: number[] }
}

test("a deep stack takes less than half of the memory, and has the same gradients", () => {
  const [kept, again] = [measure("kept"), measure("recomputed")]
  expect(again.d0).toEqual(kept.d0)
  // 16 layers of 6 inner values of 4 MB: about 400 MB to keep, one layer's worth and the stream to build again.
  expect(kept.megabytes).toBeGreaterThan(250)
  expect(again.megabytes).toBeLessThan(kept.megabytes / 2)
}, 300_000)
