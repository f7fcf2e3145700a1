/** Attention over whole sequences, without a cache: differentiable, and not bit-equal to the runtime's. */
import { ForerunError } from "../../base/errors.ts"
import {
  add,
  concat,
  fusedMatmul,
  gather,
  multiply,
  reshape,
  rmsNorm,
  rotary,
  slice,
  softcap,
  softmax,
  split,
  subtract,
  transpose,
  type Value,
} from "../../graph/index.ts"
import type { ModelConfig, RopeConfig } from "../config.ts"
import { ropeFrequencies, ropeRow } from "../rope.ts"
import type { TrainingWeights } from "./weights.ts"

/** How the rows of x [batch·length, hidden] are put together. */
export interface Rows {
  readonly batch: number
  readonly length: number
  /** int64 [batch, length]; default 0, 1, … in each sequence. */
  readonly positions?: Value
  /**
   * Added to the scores: [batch or 1, length, columns], 0 or −∞; default causal, with the layer's window. Columns are
   * the rows of `past`, if any, then these.
   */
  readonly mask?: Value
  /** Rows that went through these layers before and may be seen by these, as `mask` says. */
  readonly past?: KeptRows
  /** Receives each layer's keys and values, for rows that come later. */
  readonly keep?: KeptRows
}

/** By layer, keys (turned) and values: [batch, kvHeads, length, headSize]. */
export type KeptRows = Map<number, { readonly keys: Value; readonly values: Value }>

export interface AttentionContext {
  readonly config: ModelConfig
  readonly weights: TrainingWeights
  /** Rows of the rotary tables: positions end before this. */
  readonly longest: number
}

/** @param x [batch·length, hidden], normalised. @returns [batch·length, heads·headSize] */
export function trainingAttention(context: AttentionContext, layer: number, x: Value, rows: Rows): Value {
  const { config, weights } = context
  const { heads, kvHeads, headSize } = config
  const { batch, length } = rows
  const groups = heads / kvHeads
  const prefix = `model.layers.${layer}.self_attn`
  const query = turned(context, layer, {
    x: weights.linear(x, `${prefix}.q_proj`),
    heads,
    norm: `${prefix}.q_norm`,
    rows,
  })
  const key = turned(context, layer, {
    x: weights.linear(x, `${prefix}.k_proj`),
    heads: kvHeads,
    norm: `${prefix}.k_norm`,
    rows,
  })
  const value = weights.linear(x, `${prefix}.v_proj`)
  const apart = (y: Value) => transpose(reshape(y, [batch, length, kvHeads, headSize]), [0, 2, 1, 3])
  // Query heads that share a key head stand below each other: one product for all of them.
  const grouped = reshape(transpose(reshape(query, [batch, length, kvHeads, groups, headSize]), [0, 2, 3, 1, 4]), [
    batch,
    kvHeads,
    groups * length,
    headSize,
  ])
  const { keys, values } = seen(layer, rows, { keys: apart(key), values: apart(value) })
  const raw = fusedMatmul(grouped, keys, { transB: true, alpha: config.queryScale })
  const scores = config.attentionSoftcap === undefined ? raw : softcap(raw, config.attentionSoftcap)
  const attended = fusedMatmul(softmax(add(scores, maskOf(context, layer, rows))), values, {})
  const back = transpose(reshape(attended, [batch, kvHeads, groups, length, headSize]), [0, 3, 1, 2, 4])
  return reshape(back, [batch * length, heads * headSize])
}

/** Keys and values of all rows that may be seen: earlier ones, then these. */
function seen(layer: number, { past, keep, mask }: Rows, own: { keys: Value; values: Value }) {
  keep?.set(layer, own)
  if (!past) return own
  const before = past.get(layer)
  if (!before || !mask)
    throw new ForerunError("E_GRAPH", `layer ${layer}: rows with a past need its keys and values, and a mask`)
  return { keys: concat([before.keys, own.keys], 2), values: concat([before.values, own.values], 2) }
}

/** [1 or batch, 1, groups·length, columns] */
function maskOf({ config, weights }: AttentionContext, layer: number, { length, mask }: Rows): Value {
  const window = config.layer[layer]!.slidingWindow ?? Infinity
  if (mask && window < Number(mask.shape[2]))
    throw new ForerunError(
      "E_ABILITY",
      `layer ${layer} has a window of ${window}, which a mask of one's own would overrule`,
    )
  const given =
    mask ??
    weights.constant(`causal ${length} ${Math.min(window, length)}`, [1, length, length], () => causal(length, window))
  const groups = config.heads / config.kvHeads
  const repeated = concat(new Array<Value>(groups).fill(given), 1)
  return reshape(repeated, [given.shape[0]!, 1, groups * length, given.shape[2]!])
}

const causal = (length: number, window: number): Float32Array =>
  Float32Array.from({ length: length * length }, (_, i) => {
    const distance = Math.floor(i / length) - (i % length)
    return distance >= 0 && distance < window ? 0 : Number.NEGATIVE_INFINITY
  })

interface Turning {
  /** [batch·length, heads·headSize] */
  readonly x: Value
  readonly heads: number
  readonly norm: string
  readonly rows: Rows
}

/** Normalises (where the model does) and turns the heads. */
function turned(context: AttentionContext, layer: number, { x, heads, norm, rows }: Turning): Value {
  const { config, weights } = context
  const { batch, length } = rows
  const { headSize, normEpsilon } = config
  const width = heads * headSize
  const normed = config.queryKeyNorm
    ? reshape(rmsNorm(reshape(x, [batch * length * heads, headSize]), weights.get(`${norm}.weight`), normEpsilon), [
        batch * length,
        width,
      ])
    : x
  const { rope } = config.layer[layer]!
  if (!rope) return normed
  const { cos, sin } = tables(context, rope)
  const sequences = reshape(normed, [batch, length, width])
  const { positions } = rows
  const result =
    weights.type === "float64"
      ? plainRotary(sequences, { cos, sin, heads, positions })
      : rotary(sequences, positions ?? weights.graph.constant("int64", [1], [0]), cos, sin, heads)
  return reshape(result, [batch * length, width])
}

function tables({ weights, longest }: AttentionContext, rope: RopeConfig): { cos: Value; sin: Value } {
  const half = rope.dimensions / 2
  const table = (kind: "cos" | "sin") =>
    weights.constant(`${kind} ${JSON.stringify(rope)}`, [longest, half], () => {
      const frequencies = ropeFrequencies(rope)
      const [cos, sin] = [new Float32Array(longest * half), new Float32Array(longest * half)]
      for (let position = 0; position < longest; position++) ropeRow(frequencies, position, cos, sin, position * half)
      return kind === "cos" ? cos : sin
    })
  return { cos: table("cos"), sin: table("sin") }
}

/** The same from plain operators, for float64: x [batch, length, heads·size]. */
function plainRotary(x: Value, { cos, sin, heads, positions }: PlainTurn): Value {
  const [batch, length, width] = x.shape as number[]
  const size = width! / heads
  const half = cos.shape[1] as number
  const row = (table: Value) =>
    positions
      ? reshape(gather(table, positions), [batch!, length!, 1, half])
      : reshape(slice(table, 0, 0, length!), [1, length!, 1, half])
  const sizes = size === 2 * half ? [half, half] : [half, half, size - 2 * half]
  const [a, b, ...rest] = split(reshape(x, [batch!, length!, heads, size]), sizes, -1)
  const [c, s] = [row(cos), row(sin)]
  const first = subtract(multiply(a!, c), multiply(b!, s))
  const second = add(multiply(b!, c), multiply(a!, s))
  return reshape(concat([first, second, ...rest], -1), x.shape)
}

interface PlainTurn {
  readonly cos: Value
  readonly sin: Value
  readonly heads: number
  readonly positions: Value | undefined
}
