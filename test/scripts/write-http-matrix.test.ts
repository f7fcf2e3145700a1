/** docs/http-matrix.md says what really happens when a server is asked for every method with every parameter. */
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { expect, test } from "vitest"
import { makeHttpMatrix } from "../../scripts/write-http-matrix.ts"
import { repository } from "../support/shared.ts"

test("docs/http-matrix.md is current: every cell is plain decoding's answer or a 400 (CVE-2026-44223)", async () => {
  const matrix = await makeHttpMatrix()
  expect(matrix).not.toContain("**differs**")
  expect(matrix.split("\n").filter((line) => /^\|.*\*\*/.test(line))).toEqual([])
  expect(readFileSync(join(repository, "docs/http-matrix.md"), "utf8")).toBe(matrix)
}, 300_000)
