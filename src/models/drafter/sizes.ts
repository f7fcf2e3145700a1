/** The sizes of a feature drafter, and the tensors that its trained part holds. */
import type { ModelConfig, RopeConfig } from "../config.ts"

/**
 * How a token's embedding and a feature become one row: a linear map, that plus gated units in front of it, or a mixture
 * of the two whose shares each entry decides (Dovetail).
 */
export const fusions = ["plain", "gate", "dynamic"] as const
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
  /** Decoder layers behind the fusion. Default 1. */
  readonly layers?: number
}

/** Numbers that a row leaves in the cache, twice: keys and values of all layers. */
export const cacheWidth = ({ kvHeads, headSize, layers = 1 }: DrafterSizes): number => layers * kvHeads * headSize

/** A drafter that has the target's own sizes. */
export function drafterSizes(
  config: ModelConfig,
  { span, fusion, intermediate, layers = 1 }: Pick<DrafterSizes, "span" | "fusion" | "intermediate" | "layers">,
): DrafterSizes {
  const { hidden, heads, kvHeads, headSize, normEpsilon } = config
  const rope = config.layer[0]?.rope ?? { base: 10_000, dimensions: headSize }
  return { hidden, heads, kvHeads, headSize, intermediate, normEpsilon, rope, span, fusion, layers }
}

/** Gated units of a fusion, one behind the other. */
export const gates = 2

/** Matrices whose columns belong to an embedding and a feature side by side. */
export const readsInputs: ReadonlySet<string> = new Set(["fusion.weight", "gate0.weight"])

/** Of a layer's tensors. The first one's have none. */
export const layerPrefix = (layer: number): string => (layer === 0 ? "" : `layer${layer}.`)

/** Name → shape. Matrices are [out, in]; queries, keys and values stand below each other, as do gate and up. */
export function drafterTensors(sizes: DrafterSizes): ReadonlyMap<string, readonly number[]> {
  const { hidden, heads, kvHeads, headSize, intermediate, layers = 1 } = sizes
  return new Map<string, readonly number[]>([
    ...fusionTensors(sizes),
    ...Array.from({ length: layers }, (_, layer) => layerPrefix(layer)).flatMap(
      (prefix): [string, readonly number[]][] => [
        [`${prefix}inputNorm.weight`, [hidden]],
        [`${prefix}attention.weight`, [(heads + 2 * kvHeads) * headSize, hidden]],
        [`${prefix}output.weight`, [hidden, heads * headSize]],
        [`${prefix}middleNorm.weight`, [hidden]],
        [`${prefix}gateUp.weight`, [2 * intermediate, hidden]],
        [`${prefix}down.weight`, [hidden, intermediate]],
      ],
    ),
  ])
}

function fusionTensors({ hidden, fusion }: DrafterSizes): [string, readonly number[]][] {
  if (fusion === "dynamic")
    return [
      ["tokenNorm.weight", [hidden]],
      ["featureMap.weight", [hidden, hidden]],
      ["tokenMap.weight", [hidden, hidden]],
      ["mixGate.weight", [hidden, 2 * hidden]],
    ]
  const units = fusion === "gate" ? Array.from({ length: gates }, (_, i) => i) : []
  return [
    ["fusion.weight", [hidden, 2 * hidden]],
    ["fusion.bias", [hidden]],
    ...units.flatMap((i): [string, readonly number[]][] => [
      // Input gate, candidate, output gate: from a zero state nothing is forgotten.
      [`gate${i}.weight`, [3 * hidden, i === 0 ? 2 * hidden : hidden]],
      [`gate${i}.bias`, [3 * hidden]],
    ]),
  ]
}
