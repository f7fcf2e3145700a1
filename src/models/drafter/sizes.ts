/** The sizes of a feature drafter, and the tensors that its trained part holds. */
import type { ModelConfig, RopeConfig } from "../config.ts"

/** How a token's embedding and a feature become one row: a linear map, or that plus gated units in front of it. */
export const fusions = ["plain", "gate"] as const
export type Fusion = (typeof fusions)[number]

/**
 * A feature is the target's hidden state after the final norm. Row i holds (embedding of token i + 1, feature i) and
 * predicts feature i + span, from which the target's head reads the law of token i + span + 1.
 */
export interface DrafterSizes {
  readonly hidden: number
  readonly heads: number
  readonly kvHeads: number
  readonly headSize: number
  readonly intermediate: number
  readonly normEpsilon: number
  readonly rope: RopeConfig
  /** Rows that see each other, and tokens drafted in a pass: 1 is EAGLE, more is Falcon. */
  readonly span: number
  readonly fusion: Fusion
}

/** A drafter that has the target's own sizes. */
export function drafterSizes(
  config: ModelConfig,
  { span, fusion, intermediate }: Pick<DrafterSizes, "span" | "fusion" | "intermediate">,
): DrafterSizes {
  const { hidden, heads, kvHeads, headSize, normEpsilon } = config
  const rope = config.layer[0]?.rope ?? { base: 10_000, dimensions: headSize }
  return { hidden, heads, kvHeads, headSize, intermediate, normEpsilon, rope, span, fusion }
}

/** Gated units of a fusion, one behind the other. */
export const gates = 2

/** Matrices whose columns belong to an embedding and a feature side by side. */
export const readsInputs: ReadonlySet<string> = new Set(["fusion.weight", "gate0.weight"])

/** Name → shape. Matrices are [out, in]; queries, keys and values stand below each other, as do gate and up. */
export function drafterTensors(sizes: DrafterSizes): ReadonlyMap<string, readonly number[]> {
  const { hidden, heads, kvHeads, headSize, intermediate, fusion } = sizes
  const units = fusion === "gate" ? Array.from({ length: gates }, (_, i) => i) : []
  return new Map<string, readonly number[]>([
    ["fusion.weight", [hidden, 2 * hidden]],
    ["fusion.bias", [hidden]],
    ...units.flatMap((i): [string, readonly number[]][] => [
      // Input gate, candidate, output gate: from a zero state nothing is forgotten.
      [`gate${i}.weight`, [3 * hidden, i === 0 ? 2 * hidden : hidden]],
      [`gate${i}.bias`, [3 * hidden]],
    ]),
    ["inputNorm.weight", [hidden]],
    ["attention.weight", [(heads + 2 * kvHeads) * headSize, hidden]],
    ["output.weight", [hidden, heads * headSize]],
    ["middleNorm.weight", [hidden]],
    ["gateUp.weight", [2 * intermediate, hidden]],
    ["down.weight", [hidden, intermediate]],
  ])
}
