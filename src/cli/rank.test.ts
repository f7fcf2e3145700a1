/** forerun rank as a process, on a tiny random model: lines, summary, bad lines, interruption and going on. */
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { afterAll, expect, test, vi } from "vitest"
import { makeTinyFolder } from "../../test/support/tiny-folder.ts"
import { createCommand, objects } from "./test-command.ts"

vi.setConfig({ testTimeout: 240_000 }) // several processes each
const { folder, run, remove } = createCommand()
const tiny = makeTinyFolder()
afterAll(() => {
  tiny.remove()
  remove()
})

const file = (name: string, lines: readonly unknown[]) => {
  const path = join(folder, name)
  writeFileSync(path, lines.map((line) => (typeof line === "string" ? line : JSON.stringify(line))).join("\n"))
  return path
}
const engine = ["-m", tiny.path, "--threads", "1", "--json"]
const good = (id: string) => ({ id, question: `Which of ${id}?`, candidates: ["Po", "Etna"], answer: "Po" })

test("a line a question, the accuracies last; a bad line fails alone; a second run goes on from the file", async () => {
  const questions = file("mixed.jsonl", [
    good("a"),
    "garbage",
    { ...good("b"), answer: 1 },
    { id: "c", question: "free" },
  ])
  const out = join(folder, "results.jsonl")
  const first = await run(["rank", ...engine, "--in", questions, "--out", out])
  expect(first.code).toBe(1)
  const [a, bad, b, free, summary] = objects(first.out)
  expect(Object.keys(a.winner)).toEqual(["G", "MI", "SC", "D", "PoE", "ER-G", "ER-D"])
  expect(["Po", "Etna"]).toContain(a.winner["ER-G"])
  expect([a.id, b.id, b.answer, free.id]).toEqual(["a", "b", "Etna", "c"])
  expect([bad.error.code, bad.line, free.error.code]).toEqual(["E_INPUT", 2, "E_USAGE"])
  expect(summary).toMatchObject({ questions: 2, failed: 2, accuracy: { G: { total: 2 }, "ER-D": { total: 2 } } })
  expect(summary.accuracy.PoE.low).toBeLessThanOrEqual(summary.accuracy.PoE.value)

  // Had it asked the model again, the edited line would have been replaced.
  const lines = readFileSync(out, "utf8").split("\n")
  writeFileSync(out, `${lines[0]}\n${lines[1]!.replace('"residual":', '"residual":77,"was":')}\n`)
  const second = await run(["rank", ...engine, "--in", questions, "--out", out])
  expect(objects(second.out)[0].residual).toBe(77)
  expect(objects(second.out)[2]).toEqual(b)

  const other = await run(["rank", ...engine, "--in", questions, "--out", out, "--option", "iterations=10"])
  expect([other.code, objects(other.out)[0].error.code]).toEqual([1, "E_INPUT"])
})

test("Ctrl-C ends it between passes with 130, and what was done is in the file", async () => {
  const questions = file(
    "many.jsonl",
    Array.from({ length: 3000 }, (_, i) => good(`q${i}`)),
  )
  const out = join(folder, "interrupted.jsonl")
  const ended = await run(["rank", ...engine, "--in", questions, "--out", out], { interruptAt: /"id":"q5"/ })
  expect(ended.code).toBe(130)
  const written = readFileSync(out, "utf8").trim().split("\n").length - 1
  expect(written).toBeGreaterThan(5)
  expect(written).toBeLessThan(3000)
  expect(objects(ended.out).at(-1).questions).toBe(written)
})

test("sampled candidates are grouped by their answer, beside greedy and majority", async () => {
  const questions = file("free.jsonl", [{ id: "f", question: "1 + 1", answer: "It is\n#### 2" }])
  const args = ["rank", ...engine, "--in", questions, "--sample", "3", "-n", "6"]
  const [first, second] = [await run(args), await run(args)]
  expect(first.code).toBe(0)
  const [line, summary] = objects(first.out)
  expect(line.candidates.length).toBe(line.groups.length)
  expect(line.groups).toContain(line.winner.G)
  expect(line.answer).toBe("2")
  expect(summary.accuracy.greedy.total).toBe(1)
  expect(second.out).toBe(first.out)
})
