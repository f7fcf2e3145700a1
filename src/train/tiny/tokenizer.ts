/** The tokenizer of a tiny model: every character is a token, and one more ends a text. */
import { createTokenizer, type Tokenizer } from "../../text/tokenizer.ts"

export interface TinyTokenizer {
  readonly tokenizer: Tokenizer
  readonly end: number
  /** tokenizer.json and tokenizer_config.json, by name. */
  readonly files: Readonly<Record<string, string>>
}

const endText = "<|end|>"

/** @param characters each once; their ids are their places, and the end comes after them */
export function tinyTokenizer(characters: string): TinyTokenizer {
  const vocab = Object.fromEntries([...characters].map((character, id) => [character, id]))
  const end = Object.keys(vocab).length
  const json = {
    version: "1.0",
    added_tokens: [{ id: end, content: endText, special: true }],
    model: { type: "BPE", vocab, merges: [] },
  }
  const config = { eos_token: endText }
  return {
    tokenizer: createTokenizer({ kind: "tokenizer.json", json, config }),
    end,
    files: { "tokenizer.json": JSON.stringify(json), "tokenizer_config.json": JSON.stringify(config) },
  }
}
