/** forerun race as a process: a tiny model here, a server elsewhere, a file of questions, and wrong usage. */
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { afterAll, expect, test, vi } from "vitest"
import { makeTinyFolder } from "../../test/support/tiny-folder.ts"
import { startFakeChatServer } from "../methods/first-finish/fake-chat-server.ts"
import { createCommand, objects } from "./test-command.ts"

vi.setConfig({ testTimeout: 240_000 }) // several processes each
const { folder, run, remove } = createCommand()
const tiny = makeTinyFolder()
afterAll(() => {
  tiny.remove()
  remove()
})
const engine = ["-m", tiny.path, "--threads", "1", "--json"]

test("on a model here: the contract's fields, and the seed repeats it", async () => {
  const args = ["race", ...engine, "--lanes", "3", "--seed", "4", "-n", "12", "--temperature", "1.5", "--raw", "hello"]
  const [first, second] = await Promise.all([run(args), run(args)])
  expect(first.code).toBe(0)
  const [outcome] = objects(first.out)
  for (const name of ["sequentialTokens", "totalTokens", "prefillTokens", "cancelledTokens"])
    expect(outcome[name]).toBeGreaterThanOrEqual(0)
  expect(outcome.lanes).toHaveLength(3)
  expect(outcome.totalTokens).toBe(
    outcome.lanes.reduce((sum: number, { tokens }: { tokens: number }) => sum + tokens, 0),
  )
  expect(outcome.finishedLengths).toHaveLength(outcome.winners.length)
  expect(second.out).toBe(first.out)
})

test("on a server", async () => {
  const server = await startFakeChatServer({
    5: { words: ["a", "b", "c"], pace: 50 },
    6: { words: ["quick"] },
  })
  const ended = await run(["race", "--server", server.url, "--lanes", "2", "--seed", "5", "--json", "hello"])
  await server.close()
  expect(objects(ended.out)[0]).toMatchObject({ text: "quick", winners: [1], schedule: "async" })
  expect(ended.code).toBe(0)
})

test("over questions: traces once, every rule on them, and a second run asks for nothing", async () => {
  const path = join(folder, "questions.jsonl")
  const lines = [
    { question: "1 + 1", answer: "2" },
    { question: "no answer" },
    { question: "Which?", candidates: ["x", "y"], answer: "y" },
  ]
  writeFileSync(path, lines.map((line) => JSON.stringify(line)).join("\n"))
  const out = join(folder, "traces.jsonl")
  const args = [
    "race",
    ...engine,
    "--in",
    path,
    "--out",
    out,
    "--seed",
    "1",
    "--lanes",
    "4",
    "-n",
    "6",
    "--option",
    "answer=number",
  ]
  const first = await run(args)
  expect(first.code).toBe(1)
  const [one, bad, two, summary] = objects(first.out)
  expect([one.traces.length, two.traces.length, two.answer, bad.error.code]).toEqual([4, 4, "B", "E_INPUT"])
  const rules = summary.rows.map(({ rule, lanes }: { rule: string; lanes: number }) => `${lanes} ${rule}`)
  expect(rules).toEqual([
    "1 single",
    "2 first-1",
    "2 first-1, no vote on ties",
    "2 majority",
    "2 last-1",
    "4 first-1",
    "4 first-1, no vote on ties",
    "4 first-3",
    "4 majority",
    "4 last-1",
  ])
  writeFileSync(out, readFileSync(out, "utf8").replaceAll('"length":', '"was":1,"length":1'))
  const second = await run(args)
  expect(objects(second.out)[0].traces[0].was).toBe(1)
})
