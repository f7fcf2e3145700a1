/** Reductions, and the k largest of a row. */
import { axisOf, requireType } from "../check.ts"
import type { Dim } from "../dim.ts"
import type { Value } from "../value.ts"

function reduce(op: string, x: Value, axis: number | readonly number[], keep: boolean): Value {
  requireType(op, ["float32", "float64", "int32", "int64"], x)
  const axes = (typeof axis === "number" ? [axis] : axis).map((one) => axisOf(op, x, one))
  const shape = x.shape.map((dim, i) => (axes.includes(i) ? 1 : dim)).filter((_, i) => keep || !axes.includes(i))
  const attributes = { keepdims: keep ? 1 : 0 }
  return x.graph.node(op, [x, x.graph.constant("int64", [axes.length], axes)], [{ type: x.type, shape }], {
    attributes,
  })[0]!
}

export const reduceSum = (x: Value, axis: number | readonly number[], keep = true): Value =>
  reduce("ReduceSum", x, axis, keep)
export const reduceMean = (x: Value, axis: number | readonly number[], keep = true): Value =>
  reduce("ReduceMean", x, axis, keep)
export const reduceMax = (x: Value, axis: number | readonly number[], keep = true): Value =>
  reduce("ReduceMax", x, axis, keep)

/** ln Σ exp(x), without overflow. */
export const reduceLogSumExp = (x: Value, axis: number | readonly number[], keep = true): Value =>
  reduce("ReduceLogSumExp", x, axis, keep)
export const reduceSumSquare = (x: Value, axis: number | readonly number[], keep = true): Value =>
  reduce("ReduceSumSquare", x, axis, keep)

function alongLast(op: string, x: Value): Value {
  requireType(op, ["float32", "float64"], x)
  return x.graph.node(op, [x], [{ type: x.type, shape: x.shape }], { attributes: { axis: -1 } })[0]!
}

/** exp(x) / Σ exp(x) over the last axis. */
export const softmax = (x: Value): Value => alongLast("Softmax", x)
export const logSoftmax = (x: Value): Value => alongLast("LogSoftmax", x)

/** The k largest of the last axis, largest first. `k`: int64 [1], known when the pass runs. */
export function topK(x: Value, k: Value, size: Dim): { values: Value; indices: Value } {
  requireType("topK", ["int64"], k)
  const shape = x.shape.with(-1, size)
  const [values, indices] = x.graph.node(
    "TopK",
    [x, k],
    [
      { type: x.type, shape },
      { type: "int64", shape },
    ],
    {
      attributes: { axis: -1, largest: 1, sorted: 1 },
    },
  )
  return { values: values!, indices: indices! }
}
