/** Operators that move or select data. */
import { axisOf, fail, requireSameType, requireType } from "../check.ts"
import { type Dim, dimAdd, dimDivide, dimEqual, dimProduct, type Shape } from "../dim.ts"
import type { Value } from "../value.ts"

/** One entry may be -1 (inferred) and any entry may be symbolic if at most one in all is not a number. */
export function reshape(x: Value, shape: readonly (Dim | -1)[]): Value {
  const wild = shape.indexOf(-1)
  let full: Shape = shape
  if (wild >= 0) {
    const rest = dimProduct(shape.filter((_, i) => i !== wild))
    const inferred = dimDivide(dimProduct(x.shape), rest)
    if (inferred === undefined) fail("reshape", `[${shape.join(", ")}] does not divide the size`, x)
    full = shape.with(wild, inferred)
  } else if (!dimEqual(dimProduct(shape), dimProduct(x.shape))) {
    fail("reshape", `[${shape.join(", ")}] holds another number of elements`, x)
  }
  // At run time a size of 0 must stay 0, so allowzero is set and symbolic sizes become the one -1 where possible.
  const symbolic = full.filter((dim) => typeof dim === "string").length
  if (symbolic > 1) fail("reshape", `only one size may be symbolic in [${full.join(", ")}]`, x)
  const target = x.graph.constant(
    "int64",
    [full.length],
    full.map((dim) => (typeof dim === "number" ? dim : -1)),
  )
  return x.graph.node("Reshape", [x, target], [{ type: x.type, shape: full }])[0]!
}

export function transpose(x: Value, perm: readonly number[]): Value {
  if ([...perm].sort((a, b) => a - b).some((axis, i) => axis !== i) || perm.length !== x.shape.length)
    fail("transpose", `[${perm}] is not a permutation of the axes`, x)
  const shape = perm.map((axis) => x.shape[axis]!)
  return x.graph.node("Transpose", [x], [{ type: x.type, shape }], { attributes: { perm } })[0]!
}

export function concat(parts: readonly Value[], axis: number): Value {
  const first = parts[0]!
  if (parts.length === 1) return first
  requireSameType("concat", ...parts)
  const at = axisOf("concat", first, axis)
  for (const part of parts)
    if (
      part.shape.length !== first.shape.length ||
      part.shape.some((dim, i) => i !== at && !dimEqual(dim, first.shape[i]!))
    )
      fail("concat", `shapes differ outside axis ${axis}`, ...parts)
  const shape = first.shape.with(
    at,
    parts.reduce((sum, part) => dimAdd(sum, part.shape[at]!), 0 as Dim),
  )
  return first.graph.node("Concat", parts, [{ type: first.type, shape }], { attributes: { axis: at } })[0]!
}

/** Cuts `axis` into consecutive parts of fixed sizes. */
export function split(x: Value, sizes: readonly number[], axis: number): Value[] {
  const at = axisOf("split", x, axis)
  const total = sizes.reduce((sum, size) => sum + size, 0)
  if (!dimEqual(total, x.shape[at]!)) fail("split", `sizes [${sizes}] add up to ${total}, not ${x.shape[at]}`, x)
  return splitAt(x, x.graph.constant("int64", [sizes.length], sizes), sizes, at)
}

/** Cuts `axis` into parts whose sizes are known when the pass runs (`lengths`: int64 [parts]). */
export function splitAt(x: Value, lengths: Value, sizes: readonly Dim[], axis: number): Value[] {
  const at = axisOf("split", x, axis)
  requireType("split", ["int64"], lengths)
  const outputs = sizes.map((size) => ({ type: x.type, shape: x.shape.with(at, size) }))
  return x.graph.node("Split", [x, lengths], outputs, { attributes: { axis: at } })
}

export function slice(x: Value, axis: number, start: number, end: number): Value {
  const at = axisOf("slice", x, axis)
  const size = x.shape[at]!
  if (typeof size !== "number" || start < 0 || end > size || start >= end)
    fail("slice", `[${start}, ${end}) of ${size} at axis ${axis}`, x)
  const one = (value: number) => x.graph.constant("int64", [1], [value])
  const shape = x.shape.with(at, end - start)
  return x.graph.node("Slice", [x, one(start), one(end), one(at)], [{ type: x.type, shape }])[0]!
}

/** All but the last entry of `axis`; `size` is how many that leaves. */
export function withoutLast(x: Value, axis: number, size: Dim): Value {
  const at = axisOf("withoutLast", x, axis)
  if (!dimEqual(dimAdd(size, 1), x.shape[at]!)) fail("withoutLast", `leaves ${size} of ${x.shape[at]}`, x)
  const one = (value: number) => x.graph.constant("int64", [1], [value])
  const shape = x.shape.with(at, size)
  return x.graph.node("Slice", [x, one(0), one(-1), one(at)], [{ type: x.type, shape }])[0]!
}

/** Rows of `x` along `axis`: the axis is replaced by the shape of `indices`. */
export function gather(x: Value, indices: Value, axis = 0): Value {
  requireType("gather", ["int32", "int64"], indices)
  const at = axisOf("gather", x, axis)
  const shape = [...x.shape.slice(0, at), ...indices.shape, ...x.shape.slice(at + 1)]
  return x.graph.node("Gather", [x, indices], [{ type: x.type, shape }], { attributes: { axis: at } })[0]!
}

export function unsqueeze(x: Value, axis: number): Value {
  const shape = x.shape.toSpliced(axis, 0, 1)
  return x.graph.node("Unsqueeze", [x, x.graph.constant("int64", [1], [axis])], [{ type: x.type, shape }])[0]!
}

export function squeeze(x: Value, axis: number): Value {
  const at = axisOf("squeeze", x, axis)
  if (!dimEqual(x.shape[at]!, 1)) fail("squeeze", `axis ${axis} has size ${x.shape[at]}, not 1`, x)
  return x.graph.node(
    "Squeeze",
    [x, x.graph.constant("int64", [1], [at])],
    [{ type: x.type, shape: x.shape.toSpliced(at, 1) }],
  )[0]!
}
