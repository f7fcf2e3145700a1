/** Elementwise operators. Shapes broadcast as in numpy. */
import { broadcastShapes, requireSameType, requireType } from "../check.ts"
import { onnxType } from "../onnx-type.ts"
import type { ElementType, Value } from "../value.ts"

const floats: readonly ElementType[] = ["float32", "float64"]
const numbers: readonly ElementType[] = ["float32", "float64", "int32", "int64"]

function binary(op: string, a: Value, b: Value, types = numbers, result?: ElementType): Value {
  requireSameType(op, a, b)
  requireType(op, types, a, b)
  return a.graph.node(op, [a, b], [{ type: result ?? a.type, shape: broadcastShapes(op, a, b) }])[0]!
}

function unary(op: string, x: Value, types = floats): Value {
  requireType(op, types, x)
  return x.graph.node(op, [x], [{ type: x.type, shape: x.shape }])[0]!
}

export const add = (a: Value, b: Value): Value => binary("Add", a, b)
export const subtract = (a: Value, b: Value): Value => binary("Sub", a, b)
export const multiply = (a: Value, b: Value): Value => binary("Mul", a, b)
export const divide = (a: Value, b: Value): Value => binary("Div", a, b)
export const power = (a: Value, b: Value): Value => binary("Pow", a, b)
export const maximum = (a: Value, b: Value): Value => binary("Max", a, b)
export const minimum = (a: Value, b: Value): Value => binary("Min", a, b)
export const lessOrEqual = (a: Value, b: Value): Value => binary("LessOrEqual", a, b, numbers, "bool")
export const equal = (a: Value, b: Value): Value => binary("Equal", a, b, numbers, "bool")
export const less = (a: Value, b: Value): Value => binary("Less", a, b, numbers, "bool")
export const and = (a: Value, b: Value): Value => binary("And", a, b, ["bool"], "bool")

export const absolute = (x: Value): Value => unary("Abs", x)
export const negate = (x: Value): Value => unary("Neg", x)
export const exp = (x: Value): Value => unary("Exp", x)
export const log = (x: Value): Value => unary("Log", x)
export const sqrt = (x: Value): Value => unary("Sqrt", x)
export const tanh = (x: Value): Value => unary("Tanh", x)
export const erf = (x: Value): Value => unary("Erf", x)
export const round = (x: Value): Value => unary("Round", x)
export const sigmoid = (x: Value): Value => unary("Sigmoid", x)
export const relu = (x: Value): Value => unary("Relu", x)

/** x·sigmoid(x), in one pass over the data (onnxruntime's QuickGelu with alpha 1, which has no float64). */
export function silu(x: Value): Value {
  requireType("silu", floats, x)
  // Not x·sigmoid(x): onnxruntime would make that the operator that is missing.
  if (x.type === "float64") return divide(x, add(x.graph.scalar("float64", 1), exp(negate(x))))
  const attributes = { alpha: { float: 1 } }
  return x.graph.node("QuickGelu", [x], [{ type: x.type, shape: x.shape }], { domain: "com.microsoft", attributes })[0]!
}

/** Gaussian error linear unit: exact, or the tanh approximation. */
export function gelu(x: Value, approximate: "none" | "tanh"): Value {
  requireType("gelu", ["float32"], x)
  return x.graph.node("Gelu", [x], [{ type: x.type, shape: x.shape }], { attributes: { approximate } })[0]!
}

export function where(condition: Value, a: Value, b: Value): Value {
  requireType("where", ["bool"], condition)
  requireSameType("where", a, b)
  return a.graph.node(
    "Where",
    [condition, a, b],
    [{ type: a.type, shape: broadcastShapes("where", condition, a, b) }],
  )[0]!
}

export function cast(x: Value, type: ElementType): Value {
  if (x.type === type) return x
  return x.graph.node("Cast", [x], [{ type, shape: x.shape }], { attributes: { to: onnxType[type] } })[0]!
}

/** cap·tanh(x / cap): gemma2's soft cap. */
export function softcap(x: Value, cap: number): Value {
  const limit = x.graph.scalar(x.type, cap)
  return multiply(tanh(divide(x, limit)), limit)
}
