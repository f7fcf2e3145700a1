/** Rows of a model's head, read on the host: what a reduced vocabulary of drafts is scored with. */

import type { ModelConfig } from "./config.ts"
import { rowReader } from "./embedding.ts"
import { familyOf } from "./index.ts"
import type { WeightSource } from "./weights.ts"

/** @returns a reader of [tokens · hidden] values. A reader keeps the table in the file's own type. */
export function createHeadRows(config: ModelConfig, source: WeightSource): (tokens: ArrayLike<number>) => Float32Array {
  const { hidden, tiedHead } = config
  const { embedding, head } = familyOf(config.family)
  const row = rowReader(source, `${tiedHead ? embedding : head}.weight`, hidden)
  return (tokens) => {
    const rows = new Float32Array(tokens.length * hidden)
    for (let i = 0; i < tokens.length; i++) rows.set(row(tokens[i]!), i * hidden)
    return rows
  }
}
