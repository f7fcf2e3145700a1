/** Scaled dot products, as every form of attention takes them: the same bits whatever the number of rows. */
import { add, fusedMatmul, softcap, split, type Value } from "../graph/index.ts"
import type { ModelBuilder } from "./builder.ts"

/** onnxruntime sums longer products in steps, whose length depends on the number of columns: those are cut first. */
const longestSum = 128
/** onnxruntime takes another kernel, with other bits, for one-row products when alpha is 1; halves are exact. */
export const half = 0.5

/**
 * @param queries [batch…, queries, headSize]
 * @param keys [batch…, headSize, positions], or [positions, batch…, headSize] when `inside`
 * @returns [batch…, queries, positions]
 */
export function attentionScores(b: ModelBuilder, queries: Value, keys: Value, inside: boolean): Value {
  const { queryScale, attentionSoftcap } = b.config
  const alpha = queryScale === 1 ? half : queryScale
  const options = { alpha, ...(inside ? { transB: true, transBatchB: true } : {}) }
  const keyParts = cutHeads(keys, inside ? -1 : -2)
  const product = cutHeads(queries, -1)
    .map((part, i) => fusedMatmul(part, keyParts[i]!, options))
    .reduce((sum, part) => add(sum, part))
  const raw = queryScale === 1 ? add(product, product) : product
  return attentionSoftcap === undefined ? raw : softcap(raw, attentionSoftcap)
}

/** Parts of at most `longestSum` along the axis of head sizes; nearly always one. */
function cutHeads(x: Value, axis: number): Value[] {
  const size = x.shape.at(axis) as number
  const count = Math.ceil(size / longestSum)
  if (count === 1) return [x]
  const sizes = Array.from({ length: count }, (_, i) => Math.min(longestSum, size - i * longestSum))
  return split(x, sizes, axis)
}
