/** Prompts files: the three shapes, bad lines, limits. */
import { describe, expect, it } from "vitest"
import { isBad, readPrompts, readTasks } from "./prompts-file.ts"

const lines = (...values: unknown[]) =>
  values.map((value) => (typeof value === "string" ? value : JSON.stringify(value))).join("\n")

describe("readPrompts", () => {
  it("takes the prediction beside a prompt, which must be a text", () => {
    const [good, bad] = readPrompts('{"prompt":"x","prediction":"y"}\n{"prompt":"x","prediction":["y"]}')
    expect(good).toEqual({ id: 1, line: 1, prediction: "y", prompt: { text: "x" } })
    expect(bad).toMatchObject({ line: 2, error: { code: "E_INPUT" } })
  })

  it("reads the three shapes, and numbers lines without an id", () => {
    const text = lines(
      { id: "a", prompt: "x" },
      "",
      { prompt: "y" },
      { id: 7, messages: [{ role: "user", content: "z" }] },
      { question_id: 81, category: "writing", turns: ["one", "two"], reference: [] },
    )
    expect(readPrompts(`\uFEFF${text}\r\n`)).toEqual([
      { id: "a", line: 1, prompt: { text: "x" } },
      { id: 3, line: 3, prompt: { text: "y" } },
      { id: 7, line: 4, prompt: { messages: [{ role: "user", content: "z" }] } },
      { id: 81, line: 5, category: "writing", prompt: { turns: ["one", "two"] } },
    ])
  })

  it.each([
    ["{", "not JSON"],
    ["[1]", "not a JSON object"],
    ["null", "not a JSON object"],
    ["{}", 'neither "prompt" nor "messages" nor "turns"'],
    ['{"prompt":5}', '"prompt" must be a text'],
    ['{"messages":[]}', '"messages" must be a list'],
    ['{"messages":[{"content":"x"}]}', '"messages" must be a list'],
    ['{"turns":["x",1]}', '"turns" must be a list'],
    ['{"id":[],"prompt":"x"}', "the id must be a text or a number"],
  ])("reports %s and goes on", (bad, message) => {
    const [first, second] = readPrompts(lines(bad, { id: 1, prompt: "x" }))
    expect(first && isBad(first) && first.error.message).toContain(`line 1: ${message}`)
    expect(first && isBad(first) && first.error.code).toBe("E_INPUT")
    expect(second).toMatchObject({ id: 1 })
  })

  it("keeps the id of a bad line", () => {
    expect(readPrompts('{"id":"q","prompt":1}')[0]).toMatchObject({ id: "q", line: 1 })
  })

  it("takes the first of each category, and every bad line", () => {
    const turns = (question_id: number, category: string) => ({ question_id, category, turns: ["x"] })
    const text = lines(
      turns(1, "a"),
      turns(2, "a"),
      "{",
      turns(3, "b"),
      { id: 4, prompt: "x" },
      { id: 5, prompt: "x" },
      "{",
    )
    const read = readPrompts(text, 1)
    expect(read.map((line) => (isBad(line) ? `bad ${line.line}` : line.id))).toEqual([1, "bad 3", 3, 4, "bad 7"])
  })
})

describe("readTasks", () => {
  it("reads the lines of HumanEval, GSM8K and Alpaca, and names their tasks by file or folder", () => {
    const files = [
      { path: "x/HumanEval.jsonl", text: lines({ task_id: "HumanEval/0", prompt: "def f():", test: "" }) },
      { path: "x/gsm8k/test.jsonl", text: lines({ question: "1 + 1?", answer: "2" }) },
      {
        path: "alpaca/seed_tasks.jsonl",
        text: lines(
          { id: "seed_task_0", instruction: "Name a fruit.", instances: [{ input: "", output: "Fig" }] },
          { id: "seed_task_1", instruction: "Translate.", instances: [{ input: "chat", output: "cat" }] },
          { instruction: "Add.", input: "1, 2" },
        ),
      },
    ]
    expect(readTasks(files).map(({ id, category, prompt }) => [id, category, prompt])).toEqual([
      ["HumanEval/0", "humaneval", { text: "def f():" }],
      [1, "gsm8k", { text: "1 + 1?" }],
      ["seed_task_0", "seed_tasks", { text: "Name a fruit." }],
      ["seed_task_1", "seed_tasks", { text: "Translate.\n\nchat" }],
      [3, "seed_tasks", { text: "Add.\n\n1, 2" }],
    ])
  })

  it("counts MT-Bench beside other tasks as one, before the limit is applied", () => {
    const mtBench = ["writing", "roleplay", "reasoning", "math", "coding", "extraction", "stem", "humanities"]
    const turns = (category: string) => ({ question_id: category, category, turns: ["x"] })
    const tasks = (categories: string[], limit?: number) =>
      readTasks([{ path: "q.jsonl", text: lines(...categories.map(turns)) }], limit).map(({ category }) => category)
    expect(tasks([...mtBench, "rag", "rag"], 1)).toEqual(["mt_bench", "rag"])
    expect(tasks([...mtBench, "rag"])).toEqual([...mtBench.map(() => "mt_bench"), "rag"])
    expect(tasks(mtBench)).toEqual(mtBench)
    expect(tasks(["writing", "rag"])).toEqual(["writing", "rag"])
  })

  it("stops at a bad line", () => {
    expect(() => readTasks([{ path: "q.jsonl", text: "{}" }])).toThrow("line 1")
  })
})
