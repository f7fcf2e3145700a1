/** The weight formats a user can ask for; docs/weights.md says what each holds and costs. */
import { asIsFormat, blocksFormat, float32Format, type LinearFormat, rows8Format } from "./linear.ts"

export type WeightFormat = "as-is" | "q8" | "q8-rows" | "q4" | "f32"

export const weightFormats: readonly WeightFormat[] = ["as-is", "q8", "q8-rows", "q4", "f32"]

export const linearFormats: Readonly<Record<WeightFormat, LinearFormat>> = {
  /** The file's own blocks. */
  "as-is": asIsFormat,
  /** 8-bit blocks of 64. Blocks of 128 are faster by a tenth, but one row alone takes another kernel with other bits. */
  q8: blocksFormat(8, 64),
  /** int8 rows: several rows cost little more than one, at some loss of quality. */
  "q8-rows": rows8Format,
  q4: blocksFormat(4, 32),
  f32: float32Format,
}
