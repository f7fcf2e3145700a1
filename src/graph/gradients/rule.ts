/** What a gradient rule works with, and what several rules need. */
import { fail } from "../check.ts"
import { dimEqual, type Shape, shapeEqual } from "../dim.ts"
import type { Graph } from "../graph.ts"
import { reshape } from "../ops/movement.ts"
import { reduceSum } from "../ops/reduce.ts"
import type { Node, Value } from "../value.ts"

/** A value's gradient from one of its uses: dense, or entries to be added to what the other uses give. */
export type Contribution = Value | { readonly addTo: (dense: Value) => Value }

/** A node met on the way back. */
export interface Met {
  readonly graph: Graph
  readonly node: Node
  /** Operands and results; an operand that was left out is undefined. Asking is what keeps a value alive. */
  input(index: number): Value
  output(index: number): Value
  /** An operand's shape, which does not keep the operand alive. */
  shape(index: number): Shape
  readonly inputs: number
  /** Gradients of the results, undefined where the loss does not depend on one. */
  readonly gradients: readonly (Value | undefined)[]
  /** The gradient of the first result. */
  readonly gradient: Value
}

/** For each operand that can have a gradient, how to build it; only those that are needed are called. */
export type Rule = (met: Met) => readonly ((() => Contribution) | undefined)[]
export type Rules = Readonly<Record<string, Rule>>

/** Sums a gradient over the axes along which its value was repeated. */
export function summedTo(gradient: Value, shape: Shape): Value {
  if (shapeEqual(gradient.shape, shape)) return gradient
  const missing = gradient.shape.length - shape.length
  const axes = gradient.shape.flatMap((dim, axis) => {
    const own = shape[axis - missing]
    return own === undefined || (dimEqual(own, 1) && !dimEqual(dim, 1)) ? [axis] : []
  })
  const summed = axes.length === 0 ? gradient : reduceSum(gradient, axes)
  return missing === 0 ? summed : reshape(summed, shape)
}

/** Integers given to a node as a constant operand (axes, sizes, bounds). */
export function constantIntegers(met: Met, index: number): number[] {
  const value = met.input(index)
  const initializer = met.graph.initializers.get(value.name)
  if (!initializer || value.type !== "int64")
    return fail(`gradient of ${met.node.op}`, "this operand must be a constant", value)
  const bytes = initializer.data()
  return Array.from(new BigInt64Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 8), Number)
}

export function integerAttribute(met: Met, name: string, otherwise: number): number {
  const found = met.node.attributes[name]
  return typeof found === "number" ? found : otherwise
}

export function floatAttribute(met: Met, name: string, otherwise: number): number {
  const found = met.node.attributes[name]
  return typeof found === "object" && "float" in found ? found.float : otherwise
}

/** A number as a scalar of a value's type. */
export const scalarLike = (value: Value, number: number): Value => value.graph.scalar(value.type, number)
