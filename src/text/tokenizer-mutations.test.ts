/** Hostile tokenizers: each either is refused with a typed error or works, and neither takes long. */
import { describe, expect, test } from "vitest"
import { ForerunError } from "../base/errors.ts"
import { tinyGgufMetadata, tinyTokenizerJson } from "./test-sources.ts"
import type { TokenizerSource } from "./tokenizer.ts"
import { createTokenizer } from "./tokenizer.ts"
import { mutateJson, mutateMetadata } from "./tokenizer-mutations.ts"

const texts = [
  "",
  "hello world <|end|> <s> 12 <think> naïve 🙂\n\n  x",
  `${"a".repeat(40)}!`,
  `${"x".repeat(40)}!`,
  " ".repeat(200),
]

/** Milliseconds taken; the error's code, if one was thrown. */
function tryOut(source: TokenizerSource): { code?: string; milliseconds: number } {
  const start = performance.now()
  try {
    const tokenizer = createTokenizer(source)
    for (const text of texts) {
      for (const special of [false, true]) {
        const ids = tokenizer.encode(text, { special })
        expect(ids.every((id) => id >= 0 && id < tokenizer.size)).toBe(true)
        tokenizer.decode(ids, { skipSpecial: special })
      }
    }
    return { milliseconds: performance.now() - start }
  } catch (thrown) {
    if (!(thrown instanceof ForerunError)) throw thrown
    expect(thrown.message.length).toBeLessThan(4000)
    return { code: thrown.code, milliseconds: performance.now() - start }
  }
}

const json = tinyTokenizerJson()
const unigram = {
  ...json,
  model: {
    type: "Unigram",
    unk_id: 0,
    vocab: ["<unk>", "▁", "h", "e", "l", "o", "hello"].map((text, i) => [text, -i]),
  },
  added_tokens: [],
  pre_tokenizer: { type: "Metaspace", replacement: "▁", prepend_scheme: "first" },
  decoder: { type: "Metaspace", replacement: "▁", prepend_scheme: "first" },
}
const wordPiece = {
  ...json,
  model: { type: "WordPiece", unk_token: "[UNK]", vocab: { "[UNK]": 0, hello: 1, "##s": 2, w: 3, "##o": 4 } },
  added_tokens: [],
  normalizer: { type: "BertNormalizer", lowercase: true, clean_text: true },
  pre_tokenizer: { type: "BertPreTokenizer" },
  decoder: { type: "WordPiece", prefix: "##" },
}
const byteLevelMetadata = new Map<string, unknown>([
  ["tokenizer.ggml.model", "gpt2"],
  ["tokenizer.ggml.pre", "qwen2"],
  ["tokenizer.ggml.tokens", Object.keys(json.model.vocab)],
  ["tokenizer.ggml.merges", json.model.merges],
  ["tokenizer.ggml.token_type", Object.keys(json.model.vocab).map(() => 1)],
  ["tokenizer.ggml.eos_token_id", 0],
])

const kinds: Record<string, (seed: number) => TokenizerSource> = {
  "byte-pair tokenizer.json": (seed) => ({ kind: "tokenizer.json", json: mutateJson(json, seed) }),
  "tokenizer_config.json": (seed) => ({
    kind: "tokenizer.json",
    json,
    config: mutateJson({ bos_token: { content: "<|bos|>" }, eos_token: "<|end|>", add_bos_token: true }, seed),
  }),
  "unigram tokenizer.json": (seed) => ({ kind: "tokenizer.json", json: mutateJson(unigram, seed) }),
  "WordPiece tokenizer.json": (seed) => ({ kind: "tokenizer.json", json: mutateJson(wordPiece, seed) }),
  "sentencepiece metadata": (seed) => ({ kind: "gguf", metadata: mutateMetadata(tinyGgufMetadata(), seed) }),
  "byte-level metadata": (seed) => ({ kind: "gguf", metadata: mutateMetadata(byteLevelMetadata, seed) }),
}

describe("mutated tokenizers", () => {
  for (const [name, make] of Object.entries(kinds)) {
    test(name, { timeout: 60_000 }, () => {
      let refused = 0
      for (let seed = 0; seed < 150; seed++) {
        const { code, milliseconds } = tryOut(make(seed))
        if (code !== undefined) {
          expect(["E_TOKENIZER", "E_INPUT"]).toContain(code)
          refused++
        }
        expect({ seed, isSlow: milliseconds > 4000 }).toEqual({ seed, isSlow: false })
      }
      // Both outcomes must occur, or the mutations test nothing.
      expect(refused).toBeGreaterThan(10)
      expect(refused).toBeLessThan(150)
    })
  }
})

describe("refused", () => {
  const refused = (change: (file: ReturnType<typeof tinyTokenizerJson>) => void): string => {
    const file = tinyTokenizerJson()
    change(file)
    const start = performance.now()
    try {
      const tokenizer = createTokenizer({ kind: "tokenizer.json", json: file })
      tokenizer.encode(`${"a".repeat(50)}!`)
    } catch (thrown) {
      expect(thrown).toMatchObject({ code: "E_TOKENIZER" })
      expect(performance.now() - start).toBeLessThan(4000)
      return (thrown as Error).message
    }
    throw new Error("was not refused")
  }

  test("a pattern that backtracks without end", () => {
    const split = { type: "Split", pattern: { Regex: "(a+)+b" }, behavior: "Isolated" }
    expect(refused((file) => Object.assign(file, { pre_tokenizer: split }))).toMatch(/took longer than/)
  })
  test("a merge of unknown tokens", () => {
    expect(refused((file) => file.model.merges.push("qq zz"))).toMatch(/merge 8 needs the token "qq"/)
  })
  test("two tokens with one id", () => {
    expect(
      refused((file) => {
        file.model.vocab.hello = 0
      }),
    ).toMatch(/same id 0/)
  })
  test("an absurd id", () => {
    expect(
      refused((file) => {
        file.model.vocab.hello = 4_000_000
      }),
    ).toMatch(/largest id/)
  })
  test("an unknown tokenizer.ggml.pre names the known ones", () => {
    const metadata = new Map([...byteLevelMetadata, ["tokenizer.ggml.pre", "nosuch"]])
    expect(() => createTokenizer({ kind: "gguf", metadata })).toThrow(/"nosuch" is unknown; known are .*llama-bpe/)
  })
  test("a token named __proto__ is a token like any other", () => {
    const file = tinyTokenizerJson()
    const added = JSON.parse('{"__proto__": 300}') as Record<string, number>
    for (const key of Object.keys(added)) {
      Object.defineProperty(file.model.vocab, key, { value: added[key], enumerable: true })
    }
    const tokenizer = createTokenizer({ kind: "tokenizer.json", json: file })
    expect(new TextDecoder().decode(tokenizer.bytes(300))).toBe("__proto__")
  })
})
