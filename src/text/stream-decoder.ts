/** Incremental decoding: ids go in one at a time, only complete characters come out. */
import type { DecodeOptions, Tokenizer } from "./tokenizer.ts"

export interface StreamDecoder {
  /** The characters that this id completes; often one token is only part of a character, and the text is empty. */
  push(id: number): string
  /** What is left: bytes that never became a character, as U+FFFD. The decoder then starts afresh. */
  flush(): string
}

/** All pushes and the flush together equal `tokenizer.decode` of all ids with the same options. `push` throws E_INPUT as decode does. */
export function createStreamDecoder(tokenizer: Tokenizer, options: DecodeOptions = {}): StreamDecoder {
  const dropsFirstSpace = tokenizer.dropsFirstSpace && options.continues !== true
  const newDecoder = () => new TextDecoder("utf-8", { ignoreBOM: true })
  let decoder = newDecoder()
  let isFirst = dropsFirstSpace
  const trim = (text: string): string => {
    if (!isFirst || text === "") return text
    isFirst = false
    return text.startsWith(" ") ? text.slice(1) : text
  }
  return {
    push(id) {
      const bytes = tokenizer.bytes(id)
      if (options.skipSpecial === true && tokenizer.isSpecial(id)) return ""
      return trim(decoder.decode(bytes, { stream: true }))
    },
    flush() {
      const text = trim(decoder.decode())
      decoder = newDecoder()
      isFirst = dropsFirstSpace
      return text
    },
  }
}
