/** What stands in front of a forced token, by the kind of tokenizer. */
import { expect, test } from "vitest"
import { beginToken } from "./begin.ts"

const special = new Map([
  ["<|endoftext|>", 0],
  ["<|im_start|>", 1],
])

test("the begin-of-text token where the model expects it, otherwise what separates documents", () => {
  expect(beginToken({ bosToken: 1, addsBos: true, special })).toBe(1)
  expect(beginToken({ bosToken: 1, addsBos: false, special })).toBe(0) // SmolLM2's opens a turn
  expect(beginToken({ bosToken: 1, addsBos: false, special }, "always")).toBe(1)
  expect(beginToken({ bosToken: 1, addsBos: true, special }, "never")).toBeUndefined()
  expect(beginToken({ addsBos: false, special: new Map() })).toBeUndefined()
})
