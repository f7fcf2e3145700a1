/** What a feature drafter computes on a row, whether it is trained or drafts: fusion, and one decoder layer. */
import {
  add,
  concat,
  multiply,
  reshape,
  rmsNorm,
  rotary,
  sigmoid,
  silu,
  split,
  subtract,
  tanh,
  type Value,
} from "../../graph/index.ts"
import { type DrafterSizes, gates, layerPrefix } from "./sizes.ts"

export interface DrafterWeights {
  /** x·Wᵀ by a tensor's name. */
  linear(x: Value, name: string): Value
  vector(name: string): Value
}

/** Weights of one of the layers. */
export const layerWeights = ({ linear, vector }: DrafterWeights, layer: number): DrafterWeights => ({
  linear: (x, name) => linear(x, `${layerPrefix(layer)}${name}`),
  vector: (name) => vector(`${layerPrefix(layer)}${name}`),
})

/** Embeddings and features [rows, hidden] → [rows, hidden]. */
export function fuse(sizes: DrafterSizes, weights: DrafterWeights, embedded: Value, features: Value): Value {
  if (sizes.fusion === "dynamic") return mix(sizes, weights, embedded, features)
  const { linear, vector } = weights
  const joined = concat([embedded, features], 1)
  const line = add(linear(joined, "fusion.weight"), vector("fusion.bias"))
  if (sizes.fusion === "plain") return line
  let gated = joined
  for (let i = 0; i < gates; i++) {
    const parts = add(linear(gated, `gate${i}.weight`), vector(`gate${i}.bias`))
    const { hidden } = sizes
    const [input, candidate, output] = split(parts, [hidden, hidden, hidden], 1)
    gated = multiply(sigmoid(output!), tanh(multiply(sigmoid(input!), tanh(candidate!))))
  }
  return add(line, gated)
}

/**
 * Dynamic gating fusion (Dovetail, arXiv 2412.18934; as its code has it): a share z of the mapped feature and 1 − z of
 * the mapped token, entry by entry. Only the token's branch is normalised and activated.
 */
function mix(
  { normEpsilon }: DrafterSizes,
  { linear, vector }: DrafterWeights,
  embedded: Value,
  features: Value,
): Value {
  const feature = linear(features, "featureMap.weight")
  const token = silu(linear(rmsNorm(embedded, vector("tokenNorm.weight"), normEpsilon), "tokenMap.weight"))
  const share = sigmoid(linear(concat([feature, token], 1), "mixGate.weight"))
  return add(token, multiply(share, subtract(feature, token)))
}

/** Queries [rows, heads·headSize], keys and values [rows, kvHeads·headSize], the first two turned by their positions. */
export interface Projected {
  readonly query: Value
  readonly key: Value
  readonly value: Value
}

/** @param turn rotates [rows, heads·headSize] by each row's position */
export function project(
  sizes: DrafterSizes,
  { linear, vector }: DrafterWeights,
  fused: Value,
  turn: (x: Value, heads: number) => Value,
): Projected {
  const { heads, kvHeads, headSize, normEpsilon } = sizes
  const normed = rmsNorm(fused, vector("inputNorm.weight"), normEpsilon)
  const [turning, value] = split(
    linear(normed, "attention.weight"),
    [(heads + kvHeads) * headSize, kvHeads * headSize],
    1,
  )
  const [query, key] = split(turn(turning!, heads + kvHeads), [heads * headSize, kvHeads * headSize], 1)
  return { query: query!, key: key!, value: value! }
}

/** The rest of the layer: no norm follows it, since its result stands for a feature. */
export function finishLayer(
  sizes: DrafterSizes,
  { linear, vector }: DrafterWeights,
  fused: Value,
  attended: Value,
): Value {
  const middle = add(fused, linear(attended, "output.weight"))
  const normed = rmsNorm(middle, vector("middleNorm.weight"), sizes.normEpsilon)
  const [gate, up] = split(linear(normed, "gateUp.weight"), [sizes.intermediate, sizes.intermediate], 1)
  return add(middle, linear(multiply(silu(gate!), up!), "down.weight"))
}

/** x [rows, heads·size] turned by rows of the tables [rows, turning / 2], as many as there are rows of x. */
export function turnRows(x: Value, heads: number, tables: { readonly cos: Value; readonly sin: Value }): Value {
  const [rows, width] = x.shape
  const positions = x.graph.constant("int64", [1], [0])
  return reshape(rotary(reshape(x, [1, rows!, width!]), positions, tables.cos, tables.sin, heads), [rows!, width!])
}
