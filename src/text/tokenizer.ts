/** A tokenizer: text to token ids and back, from tokenizer.json or from GGUF metadata. */
import { ForerunError } from "../base/errors.ts"
import { concatenate } from "../tensor/concatenate.ts"
import type { AddedToken, Section } from "./added-tokens.ts"
import { createSplitter } from "./added-tokens.ts"
import { bytesOfSpelling } from "./byte-alphabet.ts"
import { readGgufTokenizer } from "./gguf-tokenizer.ts"
import type { TokenizerDefinition } from "./tokenizer-definition.ts"
import { malformed, quoted } from "./tokenizer-definition.ts"
import { readTokenizerJson } from "./tokenizer-json.ts"
import { createWordEncoder } from "./word-model.ts"
import { createWordSplitter } from "./word-splitter.ts"

export interface EncodeOptions {
  /**
   * Whether spellings of control tokens become their ids; false (default): they stay plain text.
   * User-defined tokens (not control: runs of spaces, <think>, …) are always matched, as the model was trained on them.
   */
  readonly special?: boolean
  /**
   * With special: a character that is taken out of plain text after control tokens were found. One inside a spelling
   * keeps it plain text, which is how user text is kept from forging control tokens (see encodeChat).
   */
  readonly sentinel?: string
  /** Put the begin-of-text token first; default false. Pass `tokenizer.addsBos` for what the model expects. */
  readonly bos?: boolean
}

export interface DecodeOptions {
  /** Leave control tokens out; default false: they are spelt. */
  readonly skipSpecial?: boolean
  /** The ids go on after other text: keep the first space, which sentencepiece otherwise takes as its own. Default false. */
  readonly continues?: boolean
}

export interface Tokenizer {
  /** Ids are 0 to size - 1. */
  readonly size: number
  /** Control tokens by spelling. */
  readonly special: ReadonlyMap<string, number>
  readonly bosToken?: number
  /** Whether the model expects the begin-of-text token in front of a text. */
  readonly addsBos: boolean
  /** Tokens that end an answer, the declared end-of-text token first. */
  readonly eosTokens: readonly number[]
  /** Throws E_INPUT when `text` is not a string, E_OPTION when bos is asked for and there is none. */
  encode(text: string, options?: EncodeOptions): Int32Array
  /** Bytes that are no UTF-8 become U+FFFD. Throws E_INPUT for an id outside the vocabulary. */
  decode(ids: Iterable<number>, options?: DecodeOptions): string
  /** The exact bytes a token stands for (control tokens: their spelling; ids without a token: none). Do not write into it. */
  bytes(id: number): Uint8Array
  isSpecial(id: number): boolean
  /** Whether decoding a whole text drops the first space. */
  readonly dropsFirstSpace: boolean
}

export type TokenizerSource =
  /** Parsed tokenizer.json and tokenizer_config.json. */
  | { readonly kind: "tokenizer.json"; readonly json: unknown; readonly config?: unknown }
  /** Metadata with the tokenizer.ggml.* keys as plain values. */
  | { readonly kind: "gguf"; readonly metadata: ReadonlyMap<string, unknown> }

/** Throws E_TOKENIZER for a source that is malformed or of a kind this version does not run. */
export function createTokenizer(source: TokenizerSource): Tokenizer {
  try {
    return build(
      source.kind === "gguf" ? readGgufTokenizer(source.metadata) : readTokenizerJson(source.json, source.config),
    )
  } catch (thrown) {
    if (thrown instanceof ForerunError) throw thrown
    throw malformed(
      `the tokenizer could not be read: ${thrown instanceof Error ? thrown.message : String(thrown)}`,
      thrown,
    )
  }
}

function build(definition: TokenizerDefinition): Tokenizer {
  const { tokens, added, spelling } = definition
  const size = tokens.length
  const special = new Map(added.filter((token) => token.special).map((token) => [token.text, token.id]))
  const controls = new Set(special.values())
  const words = createWordSplitter(definition.normalizer, definition.preTokenizer)
  const encodeWord = createWordEncoder(definition)
  const withControls = sectionSplitter(added, words.normalize)
  const withoutControls = sectionSplitter(
    added.filter((token) => !token.special),
    words.normalize,
  )
  const controlsOnly = createSplitter(added.filter((token) => token.special))
  /** Control tokens are found with the sentinels in place, everything else without. */
  const marked =
    (sentinel: string) =>
    (text: string): Section[] =>
      controlsOnly(text).flatMap((section) => {
        if ("token" in section) return [section]
        return withoutControls(section.text.replaceAll(sentinel, "")).map((inner) =>
          "token" in inner ? inner : { text: inner.text, start: section.start + inner.start },
        )
      })
  const tokenBytes = createTokenBytes(definition)
  const checkId = (id: number): number => {
    if (Number.isInteger(id) && id >= 0 && id < size) return id
    throw new ForerunError("E_INPUT", `a token id must be a whole number from 0 to ${size - 1}, found ${quoted(id)}`)
  }
  const isSpecial = (id: number): boolean => controls.has(id)

  return {
    size,
    special,
    ...(definition.bosToken === undefined ? {} : { bosToken: definition.bosToken }),
    addsBos: definition.addsBos,
    eosTokens: definition.eosTokens,
    dropsFirstSpace: spelling.dropsFirstSpace,
    encode(text, options = {}) {
      if (typeof text !== "string")
        throw new ForerunError("E_INPUT", `the text must be a string, found ${quoted(text)}`)
      const out: number[] = []
      if (options.bos === true) {
        if (definition.bosToken === undefined) {
          throw new ForerunError("E_OPTION", "bos: true needs a begin-of-text token, which this tokenizer lacks")
        }
        out.push(definition.bosToken)
      }
      // Half a surrogate pair has no UTF-8; every platform writes U+FFFD for it.
      const wellFormed = text.replace(/\p{Surrogate}/gu, "\uFFFD")
      const { sentinel } = options
      const sectionsOf =
        options.special !== true ? withoutControls : sentinel === undefined ? withControls : marked(sentinel)
      for (const section of sectionsOf(wellFormed)) {
        if ("token" in section) out.push(section.token.id)
        else for (const word of words.split(section.text, section.start === 0)) if (word !== "") encodeWord(word, out)
      }
      return Int32Array.from(out)
    },
    decode(ids, options = {}) {
      const parts: Uint8Array[] = []
      for (const id of ids)
        if (!(options.skipSpecial === true && isSpecial(checkId(id)))) parts.push(tokenBytes(checkId(id)))
      const text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(concatenate(parts, Uint8Array))
      return spelling.dropsFirstSpace && options.continues !== true && text.startsWith(" ") ? text.slice(1) : text
    },
    bytes: (id) => tokenBytes(checkId(id)),
    isSpecial,
  }
}

/** Added tokens are looked for in the raw text, then those marked `normalized` in the normalised rest. */
function sectionSplitter(
  tokens: readonly AddedToken[],
  normalize: (text: string) => string,
): (text: string) => Section[] {
  const raw = createSplitter(tokens.filter((token) => !token.normalized))
  const normal = createSplitter(
    tokens.filter((token) => token.normalized),
    (token) => normalize(token.text),
  )
  return (text) =>
    raw(text).flatMap((section) => {
      if ("token" in section) return [section]
      return normal(normalize(section.text)).map((inner) =>
        "token" in inner ? inner : { text: inner.text, start: section.start + inner.start },
      )
    })
}

function createTokenBytes({ tokens, added, spelling }: TokenizerDefinition): (id: number) => Uint8Array {
  const encoder = new TextEncoder()
  const isAdded = new Map(added.map((token) => [token.id, token]))
  const known = new Map<number, Uint8Array>()
  const spell = (id: number): Uint8Array => {
    const text = tokens[id] ?? ""
    const token = isAdded.get(id)
    if (token?.special === true) return encoder.encode(text)
    if (token === undefined && spelling.byteTokens && /^<0x[0-9A-Fa-f]{2}>$/.test(text)) {
      return Uint8Array.of(Number.parseInt(text.slice(3, 5), 16))
    }
    if (token === undefined && spelling.byteLevel) return bytesOfSpelling(text) ?? encoder.encode(text)
    const replaced = spelling.replacements.reduce((before, [from, to]) => before.replaceAll(from, to), text)
    if (spelling.continuation === undefined) return encoder.encode(replaced)
    const continues = replaced.startsWith(spelling.continuation)
    return encoder.encode(continues ? replaced.slice(spelling.continuation.length) : ` ${replaced}`)
  }
  return (id) => {
    let bytes = known.get(id)
    if (bytes === undefined) {
      bytes = spell(id)
      known.set(id, bytes)
    }
    return bytes
  }
}
