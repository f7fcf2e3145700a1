/** The weight formats a user can ask for; docs/weights.md says what each holds and costs. */
import { asIsFormat, blocksFormat, float32Format, type LinearFormat, rows8Format } from "./linear.ts"

export type WeightFormat = "as-is" | "q8" | "q4" | "f32"

export const weightFormats: readonly WeightFormat[] = ["as-is", "q8", "q4", "f32"]

export const linearFormats: Readonly<Record<WeightFormat, LinearFormat>> = {
  /** The file's own blocks. */
  "as-is": asIsFormat,
  /** int8 rows, rotated: nearly as fast for several rows as for one. */
  q8: rows8Format,
  q4: blocksFormat(4, 32),
  f32: float32Format,
}
