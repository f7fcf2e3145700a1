/** What is chosen when the caller leaves it open. */
import { availableParallelism } from "node:os"
import type { Checkpoint } from "../models/files/checkpoint.ts"
import type { WeightFormat } from "../models/formats.ts"

/** Cores up to 8: decoding is bound by memory long before that. */
export const defaultThreads = (): number => Math.max(1, Math.min(8, availableParallelism()))

/** A model so small that its weights are no burden stays in float32; else the fastest format (docs/weights.md). */
export function defaultWeights(checkpoint: Pick<Checkpoint, "weights">): WeightFormat {
  let parameters = 0
  for (const { shape } of checkpoint.weights.tensors.values()) parameters += shape.reduce((n, dim) => n * dim, 1)
  return parameters < 4e6 ? "f32" : "q8"
}
