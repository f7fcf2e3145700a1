/** Token ids to text and bytes, on the server's side of the engine. */
import type { Token } from "../decoding/step.ts"
import { reportToken } from "../generate/token-report.ts"
import type { TokenReport } from "../generate/types.ts"
import { tokenBytes, type Vocabulary } from "../generate/vocabulary.ts"

export interface Spelling {
  readonly vocabulary: Vocabulary
  /** The spelling of a token by itself; parts of characters show as U+FFFD. */
  text(id: number): string
  report(token: Token): TokenReport
}

export function createSpelling(vocabulary: Vocabulary): Spelling {
  const bytes = (id: number) => tokenBytes(vocabulary, id)
  return {
    vocabulary,
    text: (id) => new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes(id)),
    report: (token) => reportToken(token, bytes),
  }
}
