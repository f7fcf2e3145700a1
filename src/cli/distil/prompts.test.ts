/** Prompts for self-distillation: shapes of files, frames of text, repeats, what must not be trained on. */
import { expect, test } from "vitest"
import { framePrompts } from "./frames.ts"
import { collectPrompts } from "./prompts.ts"
import { collectRuns } from "./word-runs.ts"

const none = collectRuns([])
const lines = (...values: unknown[]) => values.map((value) => JSON.stringify(value)).join("\n")
const textsOf = (path: string, text: string) =>
  collectPrompts([{ path, text }], none)
    .prompts.map((prompt) => prompt.text)
    .sort()

test("reads questions, instructions with their input, tasks with a test, choices, and messages", () => {
  expect(textsOf("x/train.jsonl", lines({ question: "How many?", answer: "3" }))).toEqual(["How many?"])
  expect(textsOf("x.jsonl", lines({ instruction: "Sort.", instances: [{ input: "b a", output: "a b" }] }))).toEqual([
    "Sort.\n\nb a",
  ])
  expect(textsOf("x.jsonl", lines({ text: "Write f.", code: "", test_list: ["assert f() == 1", "…"] }))).toEqual([
    "Write f.\nYour code should pass this test:\nassert f() == 1",
  ])
  expect(textsOf("x.jsonl", lines({ input: "not True is", target: "False" }))).toEqual(["not True is"])
  expect(textsOf("x.jsonl", lines({ id: 1, messages: [{ role: "user", content: "Hi" }] }))).toEqual(["Hi"])
  expect(textsOf("x.csv", "Question,Best Answer,Incorrect Answers\nWhy blue?,Light,Paint\n")[0]).toContain("Why blue?")
  const choices = Array.from({ length: 40 }, (_, i) => ({
    question: `Question ${i}?`,
    choices: { text: ["one", "two"], label: ["A", "B"] },
    answerKey: "A",
  }))
  const asked = textsOf("x.jsonl", lines(...choices))
  expect(asked).toHaveLength(40)
  expect(asked.filter((text) => text.includes("A. one\nB. two")).length).toBeGreaterThan(10)
  expect(asked.filter((text) => /^Question \d+\?$/.test(text)).length).toBeGreaterThan(10)
})

test("a prompt comes once, limits hold for each file, and any beginning of the order mixes the files", () => {
  const many = (name: string) =>
    lines(...Array.from({ length: 200 }, (_, i) => ({ prompt: `${name} ${i}` })), { prompt: "the same" })
  const set = collectPrompts(
    [
      { path: "a/train.jsonl", text: many("first"), limit: 60 },
      { path: "b/prompts.jsonl", text: many("second") },
      { path: "c.jsonl", text: lines({ prompt: "The  SAME " }) },
    ],
    none,
  )
  expect(set.prompts).toHaveLength(new Set(set.prompts.map(({ id }) => id)).size)
  const bySource = (source: string, of = set.prompts) => of.filter((prompt) => prompt.source === source).length
  expect([bySource("a"), bySource("b") + bySource("c")]).toEqual([60, 201])
  expect(bySource("a", set.prompts.slice(0, 87)) / 87).toBeGreaterThan(0.1)
  expect(set.repeated).toBeGreaterThanOrEqual(1)
  expect(() => collectPrompts([{ path: "x.jsonl", text: "{}" }], none)).toThrow(
    expect.objectContaining({ code: "E_INPUT" }),
  )
})

test("frames make several questions of a paragraph and of a title, without the marks of a tokenizer", () => {
  const paragraph = `The lobster , known as H. gammarus , weighs 0 @.@ 7 kg ( 1 @.@ 5 lb ) . It eats <unk> mussels . ${"It lives in the sea . ".repeat(12)}`
  const holes = "The <unk> of <unk> is a <unk> one . ".repeat(9)
  const prompts = framePrompts(` = Homarus gammarus = \n \n ${paragraph}\n ${holes}\n = = Part = = \n short line\n`)
  expect(prompts).toContain("What do you know about Homarus gammarus?")
  const onText = prompts.filter((text) => text.includes("lobster, known as H. gammarus, weighs 0.7 kg (1.5 lb)."))
  expect(onText.length).toBeGreaterThanOrEqual(3)
  expect(prompts.join("\n")).not.toMatch(/<unk>|@|short line|is a one/)
})

test("thirteen words in a row that a benchmark has too, or all of its words, keep a prompt out; twelve do not", () => {
  const words = Array.from({ length: 30 }, (_, i) => `word${i}`)
  const runs = collectRuns([
    lines({ turns: [words.join(" ")], id: 7 }, { question: "Who is it?" }),
    "plain text, no JSON",
  ])
  expect(runs.has(`Some more: ${words.slice(5, 18).join(", ")}!`)).toBe(true)
  expect(runs.has(`Some more: ${words.slice(5, 17).join(", ")} other`)).toBe(false)
  expect(runs.has("who is it")).toBe(true)
  expect(runs.has("Who is it then?")).toBe(false)
  const set = collectPrompts([{ path: "x.jsonl", text: lines({ prompt: "Who is it?" }, { prompt: "Who?" }) }], runs)
  expect([set.prompts.map(({ text }) => text), set.excluded]).toEqual([["Who?"], 1])
})
