/** The frozen weights of a checkpoint, as a trained part sees them. */
import { createEmbed } from "../models/embedding.ts"
import type { Checkpoint } from "../models/files/checkpoint.ts"
import { createHeadRows } from "../models/head-rows.ts"
import type { PartTarget } from "./method-part.ts"

export function targetOf({ config, weights }: Pick<Checkpoint, "config" | "weights">): PartTarget {
  const embed = createEmbed(config, weights)
  const headRows = createHeadRows(config, weights)
  return {
    config,
    weight: (name) => weights.float32(name),
    embed: (tokens, positions = Int32Array.from(tokens, (_, i) => i)) => embed(tokens, positions),
    headRows,
  }
}
