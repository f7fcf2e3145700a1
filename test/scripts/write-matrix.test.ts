/** docs/matrix.md says what really happens: every method with every parameter, run on a tiny model. */
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { expect, test } from "vitest"
import { makeMatrix } from "../../scripts/write-matrix.ts"
import { repository } from "../support/shared.ts"

test("docs/matrix.md is current, and no cell differs from plain decoding", async () => {
  const matrix = await makeMatrix()
  expect(matrix).not.toContain("**differs**")
  expect(readFileSync(join(repository, "docs/matrix.md"), "utf8")).toBe(matrix)
}, 600_000)
