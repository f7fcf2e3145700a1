/** Text in pieces of one origin. */
import { expect, test } from "vitest"
import type { TextAppended } from "../decoding/step.ts"
import { appendText } from "./pieces.ts"

test("neighbours of one origin are one piece; nothing is lost and nothing is empty", () => {
  const pieces: TextAppended[] = []
  const tokens = [
    [" the", true],
    ["", true],
    [" sea", true],
    ["", false],
    [" is", false],
    [" wide", true],
  ] as const
  for (const [text, isDrafted] of tokens) appendText(pieces, { branch: 2, text, isDrafted })
  expect(pieces).toEqual([
    { type: "text-appended", branch: 2, text: " the sea", drafted: true },
    { type: "text-appended", branch: 2, text: " is" },
    { type: "text-appended", branch: 2, text: " wide", drafted: true },
  ])
})
