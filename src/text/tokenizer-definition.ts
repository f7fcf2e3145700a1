/** What a tokenizer is made of, the same whether it came from tokenizer.json or from GGUF metadata. */
import { ForerunError } from "../base/errors.ts"
import type { AddedToken } from "./added-tokens.ts"
import type { Merge } from "./merge-tables.ts"

export interface TokenizerDefinition {
  /** Spelling of each id in the vocabulary; undefined = an id without a token. */
  readonly tokens: readonly (string | undefined)[]
  readonly added: readonly AddedToken[]
  readonly model: WordModel
  /** In tokenizer.json's form; undefined = none. */
  readonly normalizer?: unknown
  readonly preTokenizer?: unknown
  readonly spelling: Spelling
  readonly bosToken?: number
  readonly addsBos: boolean
  readonly eosTokens: readonly number[]
}

/** How one word becomes tokens. */
export type WordModel = {
  /** Id for what has no token; undefined = such characters are dropped. */
  readonly unknown?: number
} & (
  | {
      readonly type: "byte-pair"
      /** Ranked merges, or a score for each id. */
      readonly merges: { readonly ranked: readonly Merge[] } | { readonly scores: ArrayLike<number> }
      /** A word that is a token stays whole even if no merges lead to it. */
      readonly wholeWords: boolean
      /** Characters without a token become <0xNN> tokens. */
      readonly byteFallback: boolean
      /** Neighbouring unknown characters share one unknown token. */
      readonly fuseUnknown: boolean
    }
  | { readonly type: "unigram"; readonly scores: ArrayLike<number>; readonly byteFallback: boolean }
  | {
      readonly type: "word-piece"
      /** Marks a piece that continues a word, such as "##". */
      readonly prefix: string
      /** Longer words are unknown; characters. */
      readonly longestWord: number
    }
)

/** How a token's spelling becomes bytes. */
export interface Spelling {
  /** In GPT-2's byte alphabet. */
  readonly byteLevel: boolean
  /** <0xNN> tokens stand for one byte. */
  readonly byteTokens: boolean
  /** Applied in order to every token, such as ["▁", " "]. */
  readonly replacements: readonly (readonly [from: string, to: string])[]
  /** WordPiece's continuation mark: pieces with it lose it, others get a space in front. */
  readonly continuation?: string
  /** The first space of a text was added by the tokenizer and is taken away when decoding. */
  readonly dropsFirstSpace: boolean
}

/** More ids than any known vocabulary has (2026: 262,145). */
export const maxVocabulary = 1 << 22

/** Longest added token, in UTF-16 units; longer ones would make the search for them slow. */
export const maxAddedToken = 1024

// Tokens that end an answer whatever the file's eos_token says (as in llama.cpp).
const endSpellings: readonly string[] = [
  "<|eot_id|>",
  "<|im_end|>",
  "<|end|>",
  "<end_of_turn>",
  "<eos>",
  "<|endoftext|>",
  "<|end_of_text|>",
  "<|eom_id|>",
  "<EOT>",
  "_<EOT>",
  "<end_of_utterance>",
]

/** The end tokens: the declared ones first, then control tokens whose spelling says that an answer ends. */
export function endTokens(
  declared: readonly (number | undefined)[],
  controlToken: (text: string) => number | undefined,
): number[] {
  const all = [...declared, ...endSpellings.map(controlToken)]
  return [...new Set(all.filter((id) => id !== undefined))]
}

/** Shorthand for the errors of this folder: what was needed and what was found. */
export const malformed = (message: string, cause?: unknown): ForerunError =>
  new ForerunError("E_TOKENIZER", message, cause === undefined ? {} : { cause })

/** A value as it may stand in an error message: short, and without walking through what may be huge. */
export function quoted(value: unknown): string {
  if (Array.isArray(value)) return `a list of ${value.length}`
  if (typeof value === "object" && value !== null) {
    const { type } = value as { type?: unknown }
    return typeof type === "string" ? `an object of type ${quoted(type)}` : "an object"
  }
  if (typeof value !== "string") return String(value)
  return JSON.stringify(value.length > 80 ? `${value.slice(0, 80)}…` : value)
}
