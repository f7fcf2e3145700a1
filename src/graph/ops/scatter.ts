/** Picking and adding single entries by index, and filling a shape. */
import { axisOf, broadcastDims, fail, requireSameType, requireType } from "../check.ts"
import { dimAdd, dimEqual, type Shape, shapeEqual } from "../dim.ts"
import type { Value } from "../value.ts"
import { add } from "./math.ts"

/** One entry along `axis` for each index: result[i][j] = x[i][indices[i][j]] for the last axis of a matrix. */
export function gatherElements(x: Value, indices: Value, axis: number): Value {
  requireType("gatherElements", ["int32", "int64"], indices)
  const at = axisOf("gatherElements", x, axis)
  sameOutside("gatherElements", at, x, indices)
  return x.graph.node("GatherElements", [x, indices], [{ type: x.type, shape: indices.shape }], {
    attributes: { axis: at },
  })[0]!
}

/** x with `updates` added where gatherElements would read; equal indices add up. */
export function scatterAddElements(x: Value, indices: Value, updates: Value, axis: number): Value {
  requireType("scatterAddElements", ["int32", "int64"], indices)
  requireSameType("scatterAddElements", x, updates)
  const at = axisOf("scatterAddElements", x, axis)
  sameOutside("scatterAddElements", at, x, indices)
  if (!shapeEqual(indices.shape, updates.shape))
    fail("scatterAddElements", "indices and updates differ in shape", indices, updates)
  return x.graph.node("ScatterElements", [x, indices, updates], [{ type: x.type, shape: x.shape }], {
    attributes: { axis: at, reduction: "add" },
  })[0]!
}

/** x [n, …] with updates[i] [indices.shape, …] added to its row indices[i]; equal indices add up. */
export function scatterAddRows(x: Value, indices: Value, updates: Value): Value {
  requireType("scatterAddRows", ["int64"], indices)
  requireSameType("scatterAddRows", x, updates)
  if (!shapeEqual(updates.shape, [...indices.shape, ...x.shape.slice(1)]))
    fail("scatterAddRows", "updates need the indices' shape and then a row's", x, indices, updates)
  const axis = x.graph.constant("int64", [1], [indices.shape.length])
  const shape = [...indices.shape, 1]
  const pointed = x.graph.node("Unsqueeze", [indices, axis], [{ type: "int64", shape }])[0]!
  return x.graph.node("ScatterND", [x, pointed, updates], [{ type: x.type, shape: x.shape }], {
    attributes: { reduction: "add" },
  })[0]!
}

/** x with the rows at `indices` (int64 [n, k], over the first k axes) replaced by `updates` [n, the rest of x]. */
export function scatterRows(x: Value, indices: Value, updates: Value): Value {
  requireType("scatterRows", ["int64"], indices)
  requireSameType("scatterRows", x, updates)
  const [count, depth] = indices.shape
  if (typeof depth !== "number" || !shapeEqual(updates.shape, [count!, ...x.shape.slice(depth)]))
    fail("scatterRows", "updates need one row for each index", x, indices, updates)
  return x.graph.node("ScatterND", [x, indices, updates], [{ type: x.type, shape: x.shape }])[0]!
}

function sameOutside(op: string, axis: number, x: Value, indices: Value): void {
  const fits = x.shape.every((dim, i) => i === axis || dimEqual(dim, indices.shape[i] ?? -1))
  if (x.shape.length !== indices.shape.length || !fits) fail(op, `shapes differ outside axis ${axis}`, x, indices)
}

/** x repeated to `shape`, as broadcasting would. */
export function expand(x: Value, shape: Shape): Value {
  if (shapeEqual(x.shape, shape)) return x
  const numbers = shape.filter((dim) => typeof dim === "number")
  if (!shapeEqual(broadcastDims("expand", [x.shape, shape], [x]), shape))
    fail("expand", `cannot become [${shape.join(", ")}]`, x)
  // A size known only when the pass runs comes from nowhere here: the value that has it must be added to instead.
  if (numbers.length !== shape.length) fail("expand", `needs known sizes, found [${shape.join(", ")}]`, x)
  const target = x.graph.constant("int64", [shape.length], numbers)
  return x.graph.node("Expand", [x, target], [{ type: x.type, shape }])[0]!
}

/** Zeros of the shape and type of x. Of known sizes only. */
export const zeros = (x: Value): Value => expand(x.graph.scalar(x.type, 0), x.shape)

/** x with zeros before and after it along `axis`. */
export function pad(x: Value, axis: number, before: number, after: number): Value {
  requireType("pad", ["float32", "float64"], x)
  const at = axisOf("pad", x, axis)
  if (before === 0 && after === 0) return x
  const pads = new Array<number>(2 * x.shape.length).fill(0)
  pads[at] = before
  pads[x.shape.length + at] = after
  const shape = x.shape.with(at, dimAdd(x.shape[at]!, before + after))
  return x.graph.node("Pad", [x, x.graph.constant("int64", [pads.length], pads)], [{ type: x.type, shape }])[0]!
}

/** Σ of the parts, in their order. */
export const addAll = (parts: readonly Value[]): Value => parts.reduce((sum, part) => add(sum, part))
