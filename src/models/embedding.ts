/** Token embeddings, read on the host from the checkpoint's own table: they never enter the graph. */
import type { ModelConfig } from "./config.ts"
import { dequantise } from "./files/dequantise.ts"
import { familyOf } from "./index.ts"
import type { WeightSource } from "./weights.ts"

/** Rows for the first layer: [tokens · hidden], scaled and with learned positions added where the family has them. */
export type Embed = (tokens: Int32Array, positions: Int32Array) => Float32Array

export function createEmbed(config: ModelConfig, source: WeightSource): Embed {
  const family = familyOf(config.family)
  const { hidden } = config
  const tokenRow = rowReader(source, `${family.embedding}.weight`, hidden)
  const positionRow =
    family.positions === undefined ? undefined : rowReader(source, `${family.positions}.weight`, hidden)
  const scale = Math.fround(config.embeddingScale)
  return (tokens, positions) => {
    const x = new Float32Array(tokens.length * hidden)
    for (let row = 0; row < tokens.length; row++) {
      const values = tokenRow(tokens[row]!)
      const learned = positionRow?.(positions[row]!)
      const at = row * hidden
      for (let i = 0; i < hidden; i++) x[at + i] = Math.fround(values[i]! * scale) + (learned ? learned[i]! : 0)
    }
    return x
  }
}

/** Keeps the table in the file's own type and opens one row at a time. */
export function rowReader(source: WeightSource, name: string, columns: number): (row: number) => Float32Array {
  const { type, shape } = source.tensors.get(name)!
  const raw = source.raw(name)
  const rowBytes = raw.length / shape[0]!
  return (row) => dequantise(type, raw.subarray(row * rowBytes, (row + 1) * rowBytes), columns)
}
