/** A token with its log-probabilities, spelt: as results and servers report it. */
import type { Token } from "../decoding/step.ts"
import type { TokenReport } from "./types.ts"

/** @param bytes of a token; parts of characters show as U+FFFD in `text` */
export function reportToken(token: Token, bytes: (id: number) => Uint8Array): TokenReport {
  const spell = (id: number) => {
    const spelling = bytes(id)
    return { text: new TextDecoder("utf-8", { ignoreBOM: true }).decode(spelling), bytes: Array.from(spelling) }
  }
  const top = (token.top ?? []).map((one) => ({ ...one, ...spell(one.token) }))
  return { id: token.id, ...spell(token.id), logprob: token.logprob ?? Number.NaN, top }
}
