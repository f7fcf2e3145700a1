/** Comparing vocabularies: equal, longer, different. */
import { expect, test } from "vitest"
import { compareVocabularies } from "./compare-vocabularies.ts"
import { tinyTokenizerJson } from "./test-sources.ts"
import { createTokenizer } from "./tokenizer.ts"

test("vocabularies are compared id by id", () => {
  const file = tinyTokenizerJson()
  const make = (json: unknown) => createTokenizer({ kind: "tokenizer.json", json })
  const original = make(file)
  expect(compareVocabularies(original, make(file))).toEqual({ shared: original.size, isCompatible: true })

  const longer = tinyTokenizerJson()
  longer.added_tokens.push({ ...longer.added_tokens[0]!, id: original.size, content: "<|new|>" })
  expect(compareVocabularies(original, make(longer))).toEqual({ shared: original.size, isCompatible: true })

  const other = tinyTokenizerJson()
  other.added_tokens[0]!.content = "<|fin|>"
  const id = other.added_tokens[0]!.id
  expect(compareVocabularies(original, make(other))).toEqual({ shared: id, firstDifference: id, isCompatible: false })

  const plain = tinyTokenizerJson()
  plain.added_tokens[0]!.special = false
  expect(compareVocabularies(original, make(plain)).firstDifference).toBe(id)
})
