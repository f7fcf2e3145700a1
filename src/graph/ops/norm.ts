/** Normalisations and rotary embedding: fused operators of onnxruntime. */
import { fail, requireRank, requireSameType, requireType } from "../check.ts"
import { dimEqual } from "../dim.ts"
import type { Value } from "../value.ts"
import { add } from "./math.ts"

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
  if (x.type === "float64") {
    const sum = add(x, y) // the fused operator has no float64
    return { sum, normed: rmsNorm(sum, weight, epsilon) }
  }
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
  requireType(op, ["float32", "float64"], x, weight)
  requireSameType(op, x, weight)
  if (weight.shape.length !== 1 || !dimEqual(weight.shape[0]!, x.shape.at(-1)!))
    fail(op, "weight and last axis differ in size", x, weight)
}

/**
 * Rotary embedding: x [batch, n, heads·size], all heads of a row turned by one row of the tables. positions: int64
 * [batch, n], or [1] with the first of n consecutive ones. cos, sin: [table rows, turning dimensions / 2]; the halves of
 * a head are paired (Hugging Face order).
 */
export function rotary(x: Value, positions: Value, cos: Value, sin: Value, heads = 1): Value {
  requireRank("rotary", x, 3)
  requireType("rotary", ["int64"], positions)
  const [width, turning] = [x.shape[2]!, cos.shape[1]!]
  if (typeof width !== "number" || typeof turning !== "number") fail("rotary", "head size must be known", x, cos)
  const size = width / heads
  const partial = turning * 2 < size
  return x.graph.node("RotaryEmbedding", [x, positions, cos, sin], [{ type: x.type, shape: x.shape }], {
    domain: "com.microsoft",
    attributes: { interleaved: 0, num_heads: heads, rotary_embedding_dim: partial ? turning * 2 : undefined },
  })[0]!
}
