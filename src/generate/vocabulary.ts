/** A model's tokens as plain data, for whoever spells tokens outside the engine: servers, grammars. */
import { concatenate } from "../tensor/concatenate.ts"
import type { Tokenizer } from "../text/tokenizer.ts"

export interface Vocabulary {
  /** The bytes of all tokens, one after the other. */
  readonly bytes: Uint8Array
  /** Token id's bytes lie from ends[id - 1] (0 for the first) to ends[id]. [size] */
  readonly ends: Int32Array
  /** Control tokens. */
  readonly special: readonly number[]
  /** Tokens that end an answer, the declared end-of-text token first. */
  readonly ending: readonly number[]
  readonly begin?: number
  /** Whether a text is read with the begin token in front. */
  readonly addsBegin: boolean
  readonly chatTemplate?: string
}

export function describeVocabulary(tokenizer: Tokenizer, chatTemplate: string | undefined): Vocabulary {
  const { size, special, eosTokens, bosToken, addsBos } = tokenizer
  const parts = Array.from({ length: size }, (_, id) => tokenizer.bytes(id))
  const ends = new Int32Array(size)
  let end = 0
  for (const [id, { length }] of parts.entries()) {
    end += length
    ends[id] = end
  }
  return {
    bytes: concatenate(parts, Uint8Array),
    ends,
    special: [...special.values()],
    ending: [...eosTokens],
    addsBegin: addsBos,
    ...(bosToken === undefined ? {} : { begin: bosToken }),
    ...(chatTemplate === undefined ? {} : { chatTemplate }),
  }
}

/** The exact bytes of a token; none for an id outside the vocabulary. */
export function tokenBytes({ bytes, ends }: Pick<Vocabulary, "bytes" | "ends">, id: number): Uint8Array {
  return bytes.subarray(id === 0 ? 0 : ends[id - 1], ends[id] ?? 0)
}
