/** Gradients of operators that move or select data. */
import { fail } from "../check.ts"
import type { Shape } from "../dim.ts"
import { concat, gather, reshape, slice, split, transpose } from "../ops/movement.ts"
import { gatherElements, pad, scatterAddElements, scatterAddRows, zeros } from "../ops/scatter.ts"
import type { Value } from "../value.ts"
import { constantIntegers, integerAttribute, type Met, type Rules, summedTo } from "./rule.ts"

const sizesAlong = (met: Met, shapes: readonly Shape[], axis: number): number[] =>
  shapes.map((shape) => {
    const size = shape[axis]
    return typeof size === "number"
      ? size
      : fail(`gradient of ${met.node.op}`, `size ${size} must be known`, met.input(0))
  })

function sliceRule(met: Met) {
  const [start] = constantIntegers(met, 1)
  const [end] = constantIntegers(met, 2)
  const [axis] = constantIntegers(met, 3)
  const [size] = sizesAlong(met, [met.shape(0)], axis!)
  const after = end! < 0 ? -end! : size! - end!
  return [() => pad(met.gradient, axis!, start!, after)]
}

/** Rows that were picked get the gradients of their copies: moved to the front, added by row, moved back. */
function gatherRule(met: Met) {
  const axis = integerAttribute(met, "axis", 0)
  const addTo = (dense: Value) => {
    const indices = met.input(1)
    if (axis === 0) return scatterAddRows(dense, indices, met.gradient)
    const picked = indices.shape.length
    const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i)
    const rank = dense.shape.length
    const front = [...range(axis, axis + picked), ...range(0, axis), ...range(axis + picked, rank - 1 + picked)]
    const forth = [axis, ...range(0, axis), ...range(axis + 1, rank)]
    const back = [...range(1, axis + 1), 0, ...range(axis + 1, rank)]
    return transpose(scatterAddRows(transpose(dense, forth), indices, transpose(met.gradient, front)), back)
  }
  return [() => ({ addTo })]
}

export const movementRules: Rules = {
  Reshape: (met) => [() => reshape(met.gradient, met.shape(0))],
  Unsqueeze: (met) => [() => reshape(met.gradient, met.shape(0))],
  Squeeze: (met) => [() => reshape(met.gradient, met.shape(0))],
  Expand: (met) => [() => summedTo(met.gradient, met.shape(0))],
  Transpose: (met) => {
    const order = met.node.attributes.perm as readonly number[]
    return [
      () =>
        transpose(
          met.gradient,
          order.map((_, axis) => order.indexOf(axis)),
        ),
    ]
  },
  Concat: (met) => {
    const axis = integerAttribute(met, "axis", 0)
    const shapes = Array.from({ length: met.inputs }, (_, i) => met.shape(i))
    let parts: Value[] | undefined
    const cut = () => (parts ??= split(met.gradient, sizesAlong(met, shapes, axis), axis))
    return shapes.map((_, i) => () => cut()[i]!)
  },
  Split: (met) => {
    const axis = integerAttribute(met, "axis", 0)
    const parts = () =>
      met.gradients.map((gradient, i) => gradient ?? zeros(met.graph.values.get(met.node.outputs[i]!)!))
    return [() => concat(parts(), axis)]
  },
  Slice: sliceRule,
  Pad: (met) => {
    const pads = constantIntegers(met, 1)
    const cut = (gradient: Value) =>
      met.shape(0).reduce<Value>((inner, size, axis) => {
        const before = pads[axis]!
        return inner.shape[axis] === size ? inner : slice(inner, axis, before, before + Number(size))
      }, gradient)
    return [() => cut(met.gradient)]
  },
  Gather: gatherRule,
  GatherElements: (met) => {
    const axis = integerAttribute(met, "axis", 0)
    return [() => ({ addTo: (dense) => scatterAddElements(dense, met.input(1), met.gradient, axis) })]
  },
  ScatterElements: (met) => [
    () => met.gradient,
    undefined,
    () => gatherElements(met.gradient, met.input(1), integerAttribute(met, "axis", 0)),
  ],
  ScatterND: (met) => {
    const pointed = met.input(1)
    return [() => met.gradient, undefined, () => gather(met.gradient, reshape(pointed, pointed.shape.slice(0, -1)))]
  },
}
