/** Answers found in texts, and votes on them. */
import { expect, test } from "vitest"
import { type AnswerKind, findAnswer, majority } from "./answer.ts"

test.each<[AnswerKind, string, string | undefined]>([
  ["number", "2 + 3 = 5, so 1,234.50 dollars.", "1234.5"],
  ["number", "It is 7.\n#### 12\nand 13", "12"],
  ["number", "minus -0007", "-7"],
  ["number", "-0.0", "0"],
  ["number", ".50", "0.5"],
  ["number", "1,23", "23"], // no thousands separator
  ["number", "none at all", undefined],
  ["number", "123456789012345678901234567890", "123456789012345678901234567890"],
  ["boxed", "\\boxed{1} then \\boxed{ 42 }", "42"],
  ["boxed", "42", undefined],
  ["letter", "A good answer: (B).", "B"],
  ["letter", "ABC", undefined],
  ["text", "  yes \n", "yes"],
  ["text", "  \n", undefined],
])("%s in %j", (kind, text, answer) => {
  expect(findAnswer(text, kind)).toBe(answer)
})

test("the majority: most votes, the first seen on a tie, no vote without an answer", () => {
  expect(majority(["b", "a", "a"])).toBe("a")
  expect(majority(["b", "a", "a", "b"])).toBe("b")
  expect(majority([undefined, undefined, "c"])).toBe("c")
  expect(majority([undefined])).toBeUndefined()
})
