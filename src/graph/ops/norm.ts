/** Normalisations and rotary embedding: fused operators of onnxruntime. */
import { fail, requireRank, requireType } from "../check.ts"
import { dimEqual } from "../dim.ts"
import type { Value } from "../value.ts"

/** x / sqrt(mean(x²) + epsilon) · weight over the last axis. */
export function rmsNorm(x: Value, weight: Value, epsilon: number): Value {
  checkWeight("rmsNorm", x, weight)
  const attributes = { axis: -1, epsilon: { float: epsilon }, stash_type: 1 }
  return x.graph.node("SimplifiedLayerNormalization", [x, weight], [{ type: x.type, shape: x.shape }], {
    attributes,
  })[0]!
}

/** The sum x + y, and its RMS norm, in one operator. */
export function addRmsNorm(x: Value, y: Value, weight: Value, epsilon: number): { sum: Value; normed: Value } {
  checkWeight("addRmsNorm", x, weight)
  const result = { type: x.type, shape: x.shape }
  const mean = { type: x.type, shape: x.shape.with(-1, 1) }
  const [normed, , , sum] = x.graph.node(
    "SkipSimplifiedLayerNormalization",
    [x, y, weight],
    [result, mean, mean, result],
    {
      domain: "com.microsoft",
      attributes: { epsilon: { float: epsilon } },
    },
  )
  return { sum: sum!, normed: normed! }
}

export function layerNorm(x: Value, weight: Value, bias: Value, epsilon: number): Value {
  checkWeight("layerNorm", x, weight)
  const attributes = { axis: -1, epsilon: { float: epsilon } }
  return x.graph.node("LayerNormalization", [x, weight, bias], [{ type: x.type, shape: x.shape }], { attributes })[0]!
}

function checkWeight(op: string, x: Value, weight: Value): void {
  requireType(op, ["float32"], x, weight)
  if (weight.shape.length !== 1 || !dimEqual(weight.shape[0]!, x.shape.at(-1)!))
    fail(op, "weight and last axis differ in size", x, weight)
}

/**
 * Rotary embedding of heads laid out as a sequence: x [1, n, size], row i turned by row positions[i] of the tables.
 * cos, sin: [table rows, turning dimensions / 2]; the halves of a head are paired (Hugging Face order).
 */
export function rotary(x: Value, positions: Value, cos: Value, sin: Value): Value {
  requireRank("rotary", x, 3)
  requireType("rotary", ["int64"], positions)
  const size = x.shape[2]!
  const turning = cos.shape[1]!
  if (typeof size !== "number" || typeof turning !== "number") fail("rotary", "head size must be known", x, cos)
  const partial = turning * 2 < size
  return x.graph.node("RotaryEmbedding", [x, positions, cos, sin], [{ type: x.type, shape: x.shape }], {
    domain: "com.microsoft",
    attributes: { interleaved: 0, num_heads: 1, rotary_embedding_dim: partial ? turning * 2 : undefined },
  })[0]!
}
