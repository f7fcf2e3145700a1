/** Gradients of matrix products, without transposing anything. */
import { type Shape, shapeEqual } from "../dim.ts"
import { type FusedOptions, fusedMatmul } from "../ops/linear.ts"
import { reshape, transpose } from "../ops/movement.ts"
import type { Value } from "../value.ts"
import { floatAttribute, integerAttribute, type Met, type Rules, summedTo } from "./rule.ts"

/** y = α·op(a)·op(b); op is the transposition asked for. */
function productRule(met: Met) {
  const [transA, transB, batchInside] = ["transA", "transB", "transBatchB"].map(
    (name) => integerAttribute(met, name, 0) === 1,
  )
  const alpha = floatAttribute(met, "alpha", 1)
  const scale: FusedOptions = alpha === 1 ? {} : { alpha }
  const inside: FusedOptions = batchInside ? { transBatchB: true } : {}
  const left = () => {
    const [b, g] = [met.input(1), met.gradient]
    // With transA the product must stand the other way round, and b must be laid out plainly.
    const gradient = transA
      ? fusedMatmul(batchInside ? batchFirst(b) : b, g, { ...scale, transA: transB === true, transB: true })
      : fusedMatmul(g, b, { ...scale, ...inside, transB: !transB })
    return summedTo(gradient, met.shape(0))
  }
  const right = () => {
    const b = met.input(1)
    const shape = batchInside ? firstInside(b.shape) : b.shape
    const [a, g] = flattened(met.input(0), met.gradient, shape, transA === true)
    const gradient = transB
      ? fusedMatmul(g, a, { ...scale, transA: true, transB: transA === true })
      : fusedMatmul(a, g, { ...scale, transA: !transA })
    const summed = summedTo(gradient, shape)
    return batchInside ? batchSecond(summed) : summed
  }
  return [left, right]
}

/** When one matrix served a whole batch, the batch is one more axis of the inner sum. */
function flattened(a: Value, g: Value, shape: Shape, transA: boolean): [Value, Value] {
  const batch = a.shape.slice(0, -2)
  if (shape.length > 2 || batch.length === 0 || transA || !shapeEqual(batch, g.shape.slice(0, -2))) return [a, g]
  return [reshape(a, [-1, a.shape.at(-1)!]), reshape(g, [-1, g.shape.at(-1)!])]
}

/** [k, batch…, n] → [batch…, k, n], and back. */
const firstInside = (shape: Shape): Shape => [...shape.slice(1, -1), shape[0]!, shape.at(-1)!]
function batchFirst(b: Value): Value {
  const last = b.shape.length - 1
  return transpose(b, [...Array.from({ length: last - 1 }, (_, i) => i + 1), 0, last])
}
function batchSecond(b: Value): Value {
  const last = b.shape.length - 1
  return transpose(b, [last - 1, ...Array.from({ length: last - 1 }, (_, i) => i), last])
}

export const linearRules: Rules = { MatMul: productRule, FusedMatMul: productRule }
