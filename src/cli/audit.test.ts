/** forerun audit as a process, on tiny random models: report, control, going on, and the same hits for any batch. */
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { afterAll, expect, test, vi } from "vitest"
import { makeTinyFolder } from "../../test/support/tiny-folder.ts"
import { createCommand, objects } from "./test-command.ts"

vi.setConfig({ testTimeout: 240_000 }) // several processes each
const { folder, run, remove } = createCommand()
const tiny = makeTinyFolder()
const other = makeTinyFolder({ seed: 9 })
afterAll(() => {
  tiny.remove()
  other.remove()
  remove()
})

const engine = ["-m", tiny.path, "--threads", "1", "--json"]
// A random model is sure of nothing: the threshold is where some tokens pass.
const low = ["--option", "threshold=0.29", "--option", "expandSteps=12"]

test("candidates, control, attacks, a page without anything from elsewhere; and it goes on from its file", async () => {
  const dir = join(folder, "report")
  const args = ["audit", "--method", "token-forcing", ...engine, ...low, "--base", other.path]
  const first = await run([...args, "--prefix", "hel", "--prefix", "", "--secret", "no such text", "--report", dir])
  expect([first.code, first.err.includes("error")]).toEqual([0, false])
  const [report] = objects(first.out)
  expect(report.scanned).toBe(267)
  expect(report.candidates.length).toBeGreaterThan(0)
  for (const one of report.candidates) {
    expect(one.score).toBeGreaterThan(0.29)
    expect(one.difference).toBeCloseTo(one.score - one.baseScore, 12)
    expect([typeof one.text, typeof one.flagged]).toEqual(["string", "boolean"])
  }
  expect(report.attacks.map(({ prefix, leaks }: { prefix: string; leaks: boolean }) => [prefix, leaks])).toEqual([["hel", false], ["", false]]) // biome-ignore format: a table
  expect(report.base.candidates).toBeDefined()
  const page = readFileSync(join(dir, "audit.html"), "utf8")
  expect(page).toContain(`${report.candidates.length}</dd>`)
  expect(page).not.toMatch(/(src|href)=|url\(|<script/)
  expect(JSON.parse(readFileSync(join(dir, "audit.json"), "utf8")).candidates).toEqual(report.candidates)

  // Had it scanned again, this change would be gone.
  const path = join(dir, "progress-target.jsonl")
  writeFileSync(
    path,
    readFileSync(path, "utf8")
      .replace('"scores":[', '"scores":[0.123,')
      .replace(/,[\d.]+\],"kept"/, '],"kept"'),
  )
  const second = await run([...args, "--report", dir])
  expect(objects(second.out)[0].histogram).not.toEqual(report.histogram)
  const mixed = await run(["audit", ...engine, "--report", dir])
  expect([mixed.code, objects(mixed.out)[0].error.code]).toEqual([1, "E_INPUT"])
})

test("the same hits for any batch, also of a part of the vocabulary", async () => {
  const hits = async (batch: string, ...more: string[]) => {
    const { out } = await run(["audit", ...engine, ...low, "--option", `batch=${batch}`, ...more])
    return objects(out)[0].candidates
  }
  const [one, many, part] = await Promise.all([hits("1"), hits("42"), hits("7", "--first-tokens", "100")])
  expect(many).toEqual(one)
  expect(part).toEqual(one.filter(({ token }: { token: number }) => token < 100))
})

test("Ctrl-C ends it with 130 and a file to go on from", async () => {
  const dir = join(folder, "interrupted")
  const slow = ["--option", "steps=32", "--option", "batch=1", "--report", dir]
  const ended = await run(["audit", ...engine, ...slow], { interruptAt: /loaded in/ })
  expect(ended.code).toBe(130)
  expect(existsSync(join(dir, "progress-target.jsonl"))).toBe(true)
  expect(existsSync(join(dir, "audit.html"))).toBe(false)
})
