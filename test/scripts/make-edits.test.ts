/** The edit task: which problems, which change, and that the expected text is the file before it. */
import { expect, test } from "vitest"
import { makeEdits } from "../../scripts/make-edits.ts"
import { readTasks } from "../../src/cli/prompts-file.ts"

const problems = Array.from({ length: 26 }, (_, i) => ({
  task_id: `HumanEval/${i}`,
  prompt: `def f${i}(xs: list, n: int):\n    """Doc."""\n`,
  canonical_solution: `    return xs[${i}]\n\n`,
  entry_point: `f${i}`,
}))

test("every eighth problem, the changes in turn", () => {
  const edits = makeEdits(problems)
  expect(edits.map(({ id }) => id)).toEqual([0, 8, 16, 24].map((i) => `HumanEval/${i}`))
  expect(edits[1]!.prediction).toBe('```python\ndef f8(xs: list, n: int):\n    """Doc."""\n    return xs[8]\n```')
  for (const { prompt, prediction } of edits)
    expect(prompt.startsWith(`${prediction}\n\nRewrite this code with `)).toBe(true)
  const asked = edits.map(({ prompt }) => /with (.*?)\. Change/.exec(prompt)![1])
  expect(asked).toEqual([
    "the function `f0` renamed to `compute`",
    "the comment `# Reviewed.` added as a new first line",
    "the parameter `xs` renamed to `given`",
    "the function `f24` renamed to `compute`",
  ])
})

test("bench and verify read it as a task of its own, with what is expected", () => {
  const text = makeEdits(problems)
    .map((edit) => JSON.stringify(edit))
    .join("\n")
  const [first] = readTasks([{ path: "edits.jsonl", text }])
  expect(first).toMatchObject({ id: "HumanEval/0", category: "edit", prediction: expect.stringContaining("def f0") })
})
