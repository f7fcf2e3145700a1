/** How often each head's guesses come true on held-out answers: what sparse trees are made by (§2.3.3). */
import type { TensorToSave } from "../../models/trained-part.ts"
import { type Heads, mostRanks } from "./heads.ts"

/** States of an answer's window, its tokens, and how many of them are the prompt's. */
export interface HeldOut {
  /** [rows · hidden] */
  readonly states: Float32Array
  readonly tokens: readonly number[]
  readonly promptRows: number
}

/** Rows that are looked at: enough for shares to a hundredth. */
const enough = 6000

/**
 * Tensor `calibration` [heads, ranks]: the share of rows at which a head's guess of this rank was the answer's token.
 * Each head is divided by its own count of rows, of which deep heads have fewer.
 */
export async function calibrate(
  heads: Pick<Heads, "shape" | "guessRows">,
  held: readonly HeldOut[],
): Promise<TensorToSave> {
  const { heads: count } = heads.shape
  const hits = new Float32Array(count * mostRanks)
  const rows = new Float32Array(count)
  for (const { states, tokens, promptRows } of held) {
    if (rows[0]! >= enough) break
    const guesses = await heads.guessRows(states, tokens.length)
    for (let head = 0; head < count; head++)
      for (let row = Math.max(0, promptRows - head - 2); row + head + 2 < tokens.length; row++) {
        rows[head]!++
        const rank = guesses[head]![row]!.indexOf(tokens[row + head + 2]!)
        if (rank >= 0) hits[head * mostRanks + rank]!++
      }
  }
  const values = hits.map((hit, i) => hit / Math.max(1, rows[Math.floor(i / mostRanks)]!))
  return { name: "calibration", shape: [count, mostRanks], values, type: "F32" }
}
