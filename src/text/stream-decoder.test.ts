/** Stream decoder: pushes and flush together are the whole decode, and no push ends inside a character. */
import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { createStreamDecoder } from "./stream-decoder.ts"
import { ggufSource, missing, smollm2Path, storiesPath, tinyGgufMetadata, tinyTokenizerJson } from "./test-sources.ts"
import type { Tokenizer } from "./tokenizer.ts"
import { createTokenizer } from "./tokenizer.ts"

function checkRandomIds(tokenizer: Tokenizer): void {
  const anyId = fc.integer({ min: 0, max: tokenizer.size - 1 })
  // Ids of one byte are what splits characters; random ids of a large vocabulary seldom are.
  const partial = Array.from({ length: tokenizer.size }, (_, id) => id).filter((id) => tokenizer.bytes(id).length === 1)
  const ids = fc.array(fc.oneof(anyId, fc.constantFrom(...partial)), { maxLength: 40 })
  const texts = fc.string({ unit: "grapheme", maxLength: 20 }).map((text) => [...tokenizer.encode(text)])
  fc.assert(
    fc.property(fc.oneof(ids, texts), fc.boolean(), fc.boolean(), (sequence, skipSpecial, continues) => {
      const decoder = createStreamDecoder(tokenizer, { skipSpecial, continues })
      const pieces = sequence.map(decoder.push)
      for (const piece of pieces) expect(piece).not.toMatch(/\p{Surrogate}/u)
      const whole = tokenizer.decode(sequence, { skipSpecial, continues })
      expect(pieces.join("") + decoder.flush()).toBe(whole)
      // After a flush it serves again.
      expect(sequence.map(decoder.push).join("") + decoder.flush()).toBe(whole)
    }),
    { numRuns: 500, seed: 1 },
  )
}

describe("stream decoder", () => {
  test("random ids, byte-level", () => {
    checkRandomIds(createTokenizer({ kind: "tokenizer.json", json: tinyTokenizerJson() }))
  })
  test("random ids, sentencepiece", () => {
    checkRandomIds(createTokenizer({ kind: "gguf", metadata: tinyGgufMetadata() }))
  })
  for (const path of [smollm2Path, storiesPath]) {
    const reason = missing(path)
    test.skipIf(reason)(`random ids, ${path.split("/").at(-1)} ${reason ?? ""}`, async () => {
      checkRandomIds(createTokenizer(await ggufSource(path)))
    })
  }

  test("a character appears with its last byte", () => {
    const tokenizer = createTokenizer({ kind: "gguf", metadata: tinyGgufMetadata() })
    const decoder = createStreamDecoder(tokenizer)
    expect([0xf0, 0x9f, 0x99, 0x82].map((byte) => decoder.push(3 + byte))).toEqual(["", "", "", "🙂"])
    expect(decoder.push(3 + 0xf0)).toBe("")
    expect(decoder.flush()).toBe("\uFFFD")
  })

  test("an id outside the vocabulary has a typed error", () => {
    const tokenizer = createTokenizer({ kind: "gguf", metadata: tinyGgufMetadata() })
    expect(() => createStreamDecoder(tokenizer).push(99_999)).toThrow(expect.objectContaining({ code: "E_INPUT" }))
  })
})
