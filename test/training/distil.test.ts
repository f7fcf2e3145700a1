/** forerun distil on a tiny model: what it writes, that it goes on exactly, and shards. */
import { appendFileSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, expect, test } from "vitest"
import { distil } from "../../src/cli/commands/distil.ts"
import type { Output } from "../../src/cli/output.ts"
import { readAnswers } from "../../src/train/answers.ts"
import { makeTinyFolder, type TinyFolder, tinyVocabulary } from "../support/tiny-folder.ts"

const scratch = mkdtempSync(join(tmpdir(), "forerun-distil-"))
const prompts = join(scratch, "prompts.jsonl")
let model: TinyFolder
beforeAll(() => {
  model = makeTinyFolder()
  writeFileSync(prompts, Array.from({ length: 12 }, (_, i) => JSON.stringify({ prompt: `prompt ${i}` })).join("\n"))
})
afterAll(() => {
  rmSync(scratch, { recursive: true, force: true })
  model.remove()
})

const output: Output = { json: true, object() {}, text() {}, note() {}, error() {}, failure() {} }
const call = (name: string, flags: object = {}) =>
  distil(
    [],
    {
      model: model.path,
      threads: 1,
      prompts: [prompts],
      out: join(scratch, name),
      maxTokens: 9,
      concurrency: 1,
      ...flags,
    },
    output,
  )
const read = (...names: string[]) =>
  readAnswers(
    names.map((name) => join(scratch, name)),
    { validation: 0, loops: true, vocabulary: tinyVocabulary },
  ).training

test("answers every prompt, a share of them by chance; a torn file goes on to the same bytes", async () => {
  expect(await call("whole.jsonl", { sampled: 0.5 })).toBe(0)
  const answers = read("whole.jsonl")
  expect(answers).toHaveLength(12)
  const sampled = answers.filter(({ temperature }) => temperature > 0).length
  expect(sampled).toBeGreaterThan(0)
  expect(sampled).toBeLessThan(12)
  expect(new Set(answers.map(({ answer }) => answer.join())).size).toBeGreaterThan(6)

  const whole = readFileSync(join(scratch, "whole.jsonl"))
  writeFileSync(join(scratch, "torn.jsonl"), whole)
  truncateSync(join(scratch, "torn.jsonl"), Math.floor(whole.length * 0.6))
  await call("torn.jsonl", { sampled: 0.5 })
  expect(readFileSync(join(scratch, "torn.jsonl"), "utf8")).toBe(whole.toString())

  await call("together.jsonl", { sampled: 0.5, concurrency: 5 })
  const lines = (text: string) => text.trim().split("\n").sort()
  expect(lines(readFileSync(join(scratch, "together.jsonl"), "utf8"))).toEqual(lines(whole.toString()))
})

test("shards are parts of the whole; --tokens ends early; other settings are refused", async () => {
  for (const i of [1, 2, 3]) await call(`part-${i}.jsonl`, { shard: `${i}/3`, sampled: 0.5 })
  expect(read("part-1.jsonl", "part-2.jsonl", "part-3.jsonl")).toEqual(read("whole.jsonl"))
  expect(read("part-2.jsonl")).toHaveLength(4)

  await call("short.jsonl", { tokens: 20 })
  const short = read("short.jsonl").reduce((sum, { answer }) => sum + answer.length, 0)
  expect(short).toBeGreaterThanOrEqual(20)
  expect(short).toBeLessThan(29)
  await expect(call("short.jsonl", { maxTokens: 10 })).rejects.toMatchObject({ code: "E_INPUT" })
  appendFileSync(join(scratch, "short.jsonl"), "no answer\n")
  await expect(call("short.jsonl")).rejects.toMatchObject({ code: "E_INPUT" })
})

test.each([
  { shard: "0/3" },
  { shard: "4/3" },
  { shard: "x" },
  { sampled: 2 },
  { prompts: undefined },
  { out: undefined },
])("%o is wrong usage", async (flags) => {
  await expect(call("never.jsonl", flags)).rejects.toMatchObject({ code: "E_USAGE" })
})
