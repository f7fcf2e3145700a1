/** Build-time checks: every error names the operator and the operands. */
import { ForerunError } from "../base/errors.ts"
import { type Dim, dimEqual, type Shape, shapeText } from "./dim.ts"
import type { ElementType, Value } from "./value.ts"

export const describe = (value: Value): string => `${value.name}: ${value.type} ${shapeText(value.shape)}`

export function fail(op: string, problem: string, ...operands: Value[]): never {
  const listed = operands.map((operand, i) => `\n  operand ${i}: ${describe(operand)}`).join("")
  throw new ForerunError("E_GRAPH", `${op}: ${problem}${listed}`)
}

export function requireType(op: string, types: readonly ElementType[], ...operands: Value[]): void {
  for (const operand of operands)
    if (!types.includes(operand.type)) fail(op, `needs ${types.join(" or ")}, found ${operand.type}`, ...operands)
}

export function requireSameType(op: string, ...operands: Value[]): void {
  if (operands.some((operand) => operand.type !== operands[0]!.type)) fail(op, "operands differ in type", ...operands)
}

export function requireRank(op: string, value: Value, rank: number): void {
  if (value.shape.length !== rank) fail(op, `needs rank ${rank}, found rank ${value.shape.length}`, value)
}

/** A possibly negative axis as an index into the shape. */
export function axisOf(op: string, value: Value, axis: number): number {
  const index = axis < 0 ? axis + value.shape.length : axis
  if (!Number.isInteger(axis) || index < 0 || index >= value.shape.length)
    fail(op, `axis ${axis} is outside rank ${value.shape.length}`, value)
  return index
}

/** Numpy broadcasting; a symbolic size fits itself and 1. */
export function broadcastShapes(op: string, ...operands: Value[]): Shape {
  return broadcastDims(
    op,
    operands.map((operand) => operand.shape),
    operands,
  )
}

export function broadcastDims(op: string, shapes: readonly Shape[], operands: Value[]): Shape {
  const rank = Math.max(...shapes.map((shape) => shape.length))
  const result: Dim[] = []
  for (let axis = 0; axis < rank; axis++) {
    let dim: Dim = 1
    for (const shape of shapes) {
      const own = shape[axis - rank + shape.length] ?? 1
      if (dimEqual(own, 1)) continue
      if (!dimEqual(dim, 1) && !dimEqual(dim, own))
        fail(op, `shapes do not broadcast: ${dim} against ${own} at axis ${axis - rank}`, ...operands)
      dim = own
    }
    result.push(dim)
  }
  return result
}
