/** Answers as training data: reading, the split by conversation, windows. */
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { gzipSync } from "node:zlib"
import { afterAll, expect, test } from "vitest"
import { createRandom } from "../tensor/random.ts"
import { type Answer, answerWindows, readAnswers } from "./answers.ts"

const folder = mkdtempSync(join(tmpdir(), "forerun-answers-"))
afterAll(() => rmSync(folder, { recursive: true }))

const answer = (id: string, more: Partial<Answer> = {}): Answer => ({
  id,
  source: "test",
  temperature: 0,
  seed: 1,
  prompt: [1, 2],
  answer: [3, 4, 5],
  ...more,
})
const write = (name: string, lines: readonly unknown[]) => {
  const path = join(folder, name)
  writeFileSync(path, lines.map((line) => `${JSON.stringify(line)}\n`).join(""))
  return path
}

test("files and folders, heads passed over, each id once, in the same order whatever came first", () => {
  const head = { settings: { seed: 1 } }
  const a = write("a.jsonl", [head, answer("b"), answer("a")])
  const b = write("b.jsonl", [head, answer("a"), head, answer("c")])
  appendFileSync(b, '{"id":"d","sour') // killed while writing
  const ids = (paths: string[]) => readAnswers(paths, { validation: 0 }).training.map(({ id }) => id)
  expect(ids([a, b])).toEqual(["a", "b", "c"])
  expect(ids([b, a])).toEqual(["a", "b", "c"])
  expect(ids([folder])).toEqual(["a", "b", "c"])
})

test("compressed files are read as they are; what is no such file is refused", () => {
  const plain = write("plain.jsonl", [answer("a"), answer("b")])
  const packed = join(folder, "packed.jsonl.gz")
  writeFileSync(packed, gzipSync(readFileSync(plain)))
  expect(readAnswers([packed])).toEqual(readAnswers([plain]))
  const broken = join(folder, "broken.gz")
  writeFileSync(broken, "no gzip")
  expect(() => readAnswers([broken])).toThrow(expect.objectContaining({ code: "E_IO" }))
})

test("a conversation is on one side only, and the share is about what was asked", () => {
  const lines = Array.from({ length: 2000 }, (_, i) => [answer(`p${i}`), answer(`p${i}-2`)]).flat()
  const path = write("many.jsonl", lines)
  const { training, validation } = readAnswers([path], { validation: 0.1 })
  expect(training.length + validation.length).toBe(4000)
  expect(validation.length / 4000).toBeGreaterThan(0.08)
  expect(validation.length / 4000).toBeLessThan(0.12)
  const held = new Set(validation.map(({ id }) => id))
  for (const { id } of training) expect(held.has(id.endsWith("-2") ? id.slice(0, -2) : `${id}-2`)).toBe(false)
  expect(readAnswers([path], { validation: 0.1 }).validation).toEqual(validation)
})

test("answers that go round in circles, and empty ones, are left out unless they are asked for", () => {
  const circle = answer("circle", { answer: Array.from({ length: 40 }, (_, i) => i % 4) })
  const path = write("circle.jsonl", [circle, answer("straight"), answer("empty", { answer: [] })])
  const ids = (loops: boolean) => readAnswers([path], { validation: 0, loops }).training.map(({ id }) => id)
  expect([ids(false), ids(true)]).toEqual([["straight"], ["circle", "straight"]])
})

test("lines that are no answers are refused with their place", () => {
  for (const bad of [
    { id: "a" },
    { ...answer("a"), prompt: [] },
    { ...answer("a"), answer: [1.5] },
    { ...answer("a"), answer: [40] },
    { ...answer("a"), prompt: ["1"] },
  ])
    expect(() => readAnswers([write("bad.jsonl", [answer("x"), bad])], { vocabulary: 40 })).toThrow(
      expect.objectContaining({ code: "E_INPUT", message: expect.stringContaining("line 2") }),
    )
  expect(() => readAnswers([join(folder, "none")])).toThrow(expect.objectContaining({ code: "E_IO" }))
})

test("windows: the end of prompt and answer, zeros behind, weight on the answer alone", () => {
  const data = answerWindows([answer("a"), answer("b", { prompt: [1, 2, 3, 4, 5], answer: [6, 7] })], 6)
  const { tensors, tokens } = data.batch([1, 0], createRandom(1))
  expect(Array.from(tensors.tokens!.data as BigInt64Array, Number)).toEqual([2, 3, 4, 5, 6, 7, 1, 2, 3, 4, 5, 0])
  expect([...tensors.weight!.data]).toEqual([0, 0, 0, 0, 1, 1, 0, 0, 1, 1, 1, 0])
  expect(tensors.tokens!.shape).toEqual([2, 6])
  expect(tokens).toBe(5)
})
