/** Text of tokens that were committed at once, in pieces of one origin: drafted and accepted, or the model's own. */
import type { TextAppended } from "../decoding/step.ts"

export interface Piece {
  readonly branch: number
  readonly text: string
  readonly isDrafted: boolean
}

/** Adds to the last piece where the origin is the same. */
export function appendText(pieces: TextAppended[], { branch, text, isDrafted }: Piece): void {
  if (text === "") return
  const last = pieces.at(-1)
  const before = last !== undefined && (last.drafted === true) === isDrafted ? pieces.pop()!.text : ""
  pieces.push({ type: "text-appended", branch, text: before + text, ...(isDrafted ? { drafted: true } : {}) })
}
