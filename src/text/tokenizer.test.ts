/** Tokenizer: the goldens, control tokens in text, long unbroken text, decoding. */
import { describe, expect, test } from "vitest"
import { patternFamily, patternNames } from "./split-patterns.ts"
import {
  ggufSource,
  missing,
  packagePath,
  packageSource,
  readGolden,
  sharedPath,
  smollm2Path,
  storiesPath,
  tinyGgufMetadata,
  tinyTokenizerJson,
} from "./test-sources.ts"
import { createTokenizer } from "./tokenizer.ts"
import { createWordSplitter } from "./word-splitter.ts"

interface Case {
  text: string
  ids: number[]
  decoded?: string
  ids_with_special?: number[]
}

const tiny = () => createTokenizer({ kind: "tokenizer.json", json: tinyTokenizerJson() })
const tinySentencePiece = () => createTokenizer({ kind: "gguf", metadata: tinyGgufMetadata() })

describe("goldens", () => {
  const noSmollm2 = missing(smollm2Path) ?? missing(sharedPath("goldens"))
  test.skipIf(noSmollm2)(`SmolLM2 from GGUF ${noSmollm2 ?? ""}`, async () => {
    const tokenizer = createTokenizer(await ggufSource(smollm2Path))
    const golden = readGolden("tokenizer", "smollm2.json") as { vocab_size: number; cases: Case[] }
    expect(tokenizer.size).toBe(golden.vocab_size)
    expect(tokenizer.eosTokens[0]).toBe(2)
    expect(tokenizer.addsBos).toBe(false)
    for (const { text, ids, decoded } of golden.cases) {
      expect({ text, ids: [...tokenizer.encode(text, { special: true })] }).toEqual({ text, ids })
      expect(tokenizer.decode(ids)).toBe(decoded ?? text)
    }
  })

  const noStories = missing(storiesPath) ?? missing(sharedPath("goldens"))
  test.skipIf(noStories)(`stories260K from GGUF ${noStories ?? ""}`, async () => {
    const tokenizer = createTokenizer(await ggufSource(storiesPath))
    for (const { text, ids } of readGolden("stories260k", "golden.json").tokenizer as Case[]) {
      expect({ text, ids: [...tokenizer.encode(text, { bos: tokenizer.addsBos })] }).toEqual({ text, ids })
      expect(tokenizer.decode(ids, { skipSpecial: true })).toBe(text)
    }
  })

  for (const name of ["qwen3", "llama2", "gemma3"]) {
    const reason = missing(packagePath(name)) ?? missing(sharedPath("goldens"))
    test.skipIf(reason)(`${name} from tokenizer.json ${reason ?? ""}`, () => {
      const tokenizer = createTokenizer(packageSource(name))
      const golden = readGolden("tokenizer", `${name}.json`) as { vocab_size: number; cases: Case[] }
      expect(tokenizer.size).toBe(golden.vocab_size)
      for (const { text, ids, decoded, ids_with_special } of golden.cases) {
        expect({ text, ids: [...tokenizer.encode(text, { special: true })] }).toEqual({ text, ids })
        const withBos = [...tokenizer.encode(text, { special: true, bos: tokenizer.addsBos })]
        expect({ text, ids: withBos }).toEqual({ text, ids: ids_with_special ?? ids })
        expect(tokenizer.decode(ids)).toBe(decoded ?? text)
      }
    })
  }
})

describe("control tokens", () => {
  test("stay text unless asked for", () => {
    const tokenizer = tiny()
    const end = tokenizer.special.get("<|end|>")!
    expect([...tokenizer.encode("a<|end|>", { special: true })].at(-1)).toBe(end)
    const plain = [...tokenizer.encode("a<|end|>")]
    expect(plain).not.toContain(end)
    expect(plain.some(tokenizer.isSpecial)).toBe(false)
    expect(tokenizer.decode(plain)).toBe("a<|end|>")
  })

  test("user-defined tokens are matched either way", () => {
    const tokenizer = tiny()
    expect(tokenizer.encode("<think>").length).toBe(1)
    expect(tokenizer.encode("<think>", { special: true }).length).toBe(1)
    expect(tinySentencePiece().encode("<tool>").length).toBe(1)
  })

  test("begin and end tokens are found", () => {
    const tokenizer = tiny()
    expect(tokenizer.bosToken).toBe(tokenizer.special.get("<|bos|>"))
    expect(tokenizer.addsBos).toBe(true)
    expect(tokenizer.eosTokens).toEqual([tokenizer.special.get("<|end|>")])
    expect(tokenizer.encode("", { bos: true })).toEqual(Int32Array.of(tokenizer.bosToken!))
    expect(tokenizer.decode(tokenizer.encode("hello", { bos: true }), { skipSpecial: true })).toBe("hello")
  })

  test("a byte token's spelling in a text is text", () => {
    const tokenizer = tinySentencePiece()
    expect(tokenizer.decode(tokenizer.encode("<0x0A>"))).toBe("<0x0A>")
  })

  test("no merge leads to a control token", () => {
    const json = tinyTokenizerJson()
    json.model.vocab["<s>"] = 400
    json.model.vocab["s>"] = 401
    json.model.merges.push("s >", "< s>")
    const control = {
      id: 400,
      content: "<s>",
      special: true,
      normalized: false,
      lstrip: false,
      rstrip: false,
      single_word: false,
    }
    json.added_tokens.push(control)
    json.pre_tokenizer = { type: "ByteLevel", use_regex: false }
    const tokenizer = createTokenizer({ kind: "tokenizer.json", json })
    expect([...tokenizer.encode("<s>")]).not.toContain(400)
    expect([...tokenizer.encode("<s>", { special: true })]).toEqual([400])
  })
})

describe("text", () => {
  test.each([
    ["letters", "a".repeat(200_000)],
    ["spaces", " ".repeat(100_000)],
    ["spaces, then a letter", `${" ".repeat(100_000)}x`],
    ["ideographs", "中文".repeat(50_000)],
    ["line ends", "\r\n".repeat(50_000)],
    ["half a control token", "<|en".repeat(50_000)],
    ["words", "hello".repeat(40_000)],
  ])("long unbroken %s take linear time", (_, text) => {
    for (const tokenizer of [tiny(), tinySentencePiece()]) {
      const start = performance.now()
      const ids = tokenizer.encode(text)
      expect(performance.now() - start).toBeLessThan(5000)
      expect(tokenizer.decode(ids)).toBe(text)
    }
  })

  test("half surrogates become U+FFFD", () => {
    const tokenizer = tiny()
    expect(tokenizer.decode(tokenizer.encode("a\uD83Db"))).toBe("a\uFFFDb")
  })

  test("bytes are exact, and spell control tokens", () => {
    const tokenizer = tinySentencePiece()
    expect([...tokenizer.bytes(3 + 0xff)]).toEqual([0xff])
    expect(new TextDecoder().decode(tokenizer.bytes(1))).toBe("<s>")
    expect(tokenizer.decode([3 + 0xf0, 3 + 0x9f, 3 + 0x99, 3 + 0x82])).toBe("🙂")
    expect(tokenizer.decode([3 + 0xf0, 260])).toBe("\uFFFD ")
  })

  test("sentencepiece's own space is taken away, unless the text continues", () => {
    const tokenizer = tinySentencePiece()
    const ids = tokenizer.encode("hello")
    expect(tokenizer.decode(ids)).toBe("hello")
    expect(tokenizer.decode(ids, { continues: true })).toBe(" hello")
  })

  test("wrong input has typed errors", () => {
    const tokenizer = tiny()
    expect(() => tokenizer.encode(5 as never)).toThrow(expect.objectContaining({ code: "E_INPUT" }))
    expect(() => tokenizer.decode([tokenizer.size])).toThrow(expect.objectContaining({ code: "E_INPUT" }))
    expect(() => tokenizer.bytes(-1)).toThrow(expect.objectContaining({ code: "E_INPUT" }))
    const json = { ...tinyTokenizerJson(), post_processor: undefined }
    const withoutBos = createTokenizer({ kind: "tokenizer.json", json })
    expect(() => withoutBos.encode("", { bos: true })).toThrow(expect.objectContaining({ code: "E_OPTION" }))
  })
})

describe("tokenizer.ggml.pre", () => {
  const vocab = Object.keys(tinyTokenizerJson().model.vocab)
  const metadata = new Map<string, unknown>([
    ["tokenizer.ggml.model", "gpt2"],
    ["tokenizer.ggml.tokens", vocab],
    ["tokenizer.ggml.merges", tinyTokenizerJson().model.merges],
  ])
  const sample = "Hello I'LL go, 12345 …\r\n\n  naïve Ǆ 中文かな, пример\t<tag> `x` 🙂 e\u0301"
  const long = ["a", "A", "aB", " ", "\n", " \n", "1", "中", "!", "'", "🙂", "\u0301"].map((text) =>
    text.repeat(20_000),
  )

  test.each(patternNames)("%s splits without losing text, in linear time", (name) => {
    const tokenizer = createTokenizer({ kind: "gguf", metadata: new Map([...metadata, ["tokenizer.ggml.pre", name]]) })
    expect(tokenizer.decode(tokenizer.encode(sample))).toBe(sample)
    const start = performance.now()
    for (const text of long) expect(tokenizer.decode(tokenizer.encode(text))).toBe(text)
    expect(performance.now() - start).toBeLessThan(5000)
  })

  test.each([
    ["llama-bpe", "don't 12345  x\n\ny", ["don", "'t", " ", "123", "45", " ", " x", "\n\n", "y"]],
    ["qwen2", "DON'T 12 a!!\n", ["DON", "'T", " ", "1", "2", " a", "!!\n"]],
    ["smollm", "a 12  b", ["a", " ", "1", "2", " ", " b"]],
    ["gpt-2", "a 12  b's", ["a", " 12", " ", " b", "'s"]],
    ["gpt-4o", "helloWorld", ["hello", "World"]],
    ["deepseek-v3", "x 1234中文", ["x", " ", "123", "4", "中文"]],
  ])("%s splits as its models do", (name, text, words) => {
    const patterns = patternFamily(name)!.patterns.map((Regex) => ({
      type: "Split",
      pattern: { Regex },
      behavior: "Isolated",
    }))
    const splitter = createWordSplitter(undefined, { type: "Sequence", pretokenizers: patterns })
    expect(splitter.split(text, true)).toEqual(words)
  })
})
