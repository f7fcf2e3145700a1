/** Matrix products, dense and quantised. */
import { broadcastDims, fail, requireSameType, requireType } from "../check.ts"
import { type Dim, dimEqual } from "../dim.ts"
import type { Value } from "../value.ts"

/** a·b over the last two axes; leading axes broadcast. */
export function matmul(a: Value, b: Value): Value {
  return product("MatMul", a, b, {})
}

export interface FusedOptions {
  readonly transA?: boolean
  readonly transB?: boolean
  /** b is stored with its first axis between batch and matrix: [k, batch…, n] instead of [batch…, k, n]. */
  readonly transBatchB?: boolean
  readonly alpha?: number
}

/** alpha·a·b with operands read transposed in place (onnxruntime's FusedMatMul). */
export function fusedMatmul(a: Value, b: Value, options: FusedOptions): Value {
  return product("FusedMatMul", a, b, options)
}

function product(op: string, a: Value, b: Value, options: FusedOptions): Value {
  requireSameType(op, a, b)
  requireType(op, ["float32", "float64"], a, b)
  if (a.shape.length < 2 || b.shape.length < 2) fail(op, "operands need at least two axes", a, b)
  const left = matrixAxes(a.shape, options.transA === true, false)
  const right = matrixAxes(b.shape, options.transB === true, options.transBatchB === true)
  if (!dimEqual(left.columns, right.rows)) fail(op, `inner sizes ${left.columns} and ${right.rows} differ`, a, b)
  const batch = broadcastDims(op, [left.batch, right.batch], [a, b])
  const attributes = {
    transA: options.transA ? 1 : undefined,
    transB: options.transB ? 1 : undefined,
    transBatchB: options.transBatchB ? 1 : undefined,
    alpha: options.alpha === undefined ? undefined : { float: options.alpha },
  }
  const shape = [...batch, left.rows, right.columns]
  return a.graph.node(op, [a, b], [{ type: a.type, shape }], {
    domain: op === "FusedMatMul" ? "com.microsoft" : "",
    attributes,
  })[0]!
}

function matrixAxes(shape: readonly Dim[], transposed: boolean, batchInside: boolean) {
  const last = shape.at(-1)!
  const [batch, inner] = batchInside ? [shape.slice(1, -1), shape[0]!] : [shape.slice(0, -2), shape.at(-2)!]
  return transposed ? { batch, rows: last, columns: inner } : { batch, rows: inner, columns: last }
}

export interface BlockWeights {
  /** uint8 [out, blocks, bytes per block], low nibble first when 4 bits */
  readonly data: Value
  /** float32 [out, blocks] */
  readonly scales: Value
  /** uint8, packed like the data; default 8 (4 bits) or 128 (8 bits) */
  readonly zeroPoints?: Value
  readonly bits: 4 | 8
  readonly blockSize: number
  readonly in: number
  readonly out: number
}

/**
 * x·Wᵀ with W in blocks of 4 or 8 bits (onnxruntime's MatMulNBits). x: [..., in] float32. Activations are quantised to
 * 8 bits per row and block inside the kernel (accuracy level 4), so a row's result does not depend on its neighbours.
 */
export function blockMatmul(x: Value, weights: BlockWeights): Value {
  requireType("blockMatmul", ["float32"], x)
  if (!dimEqual(x.shape.at(-1)!, weights.in)) fail("blockMatmul", `needs ${weights.in} columns`, x, weights.data)
  const inputs = [x, weights.data, weights.scales, weights.zeroPoints]
  const attributes = {
    K: weights.in,
    N: weights.out,
    bits: weights.bits,
    block_size: weights.blockSize,
    accuracy_level: 4,
  }
  const shape = x.shape.with(-1, weights.out)
  return x.graph.node("MatMulNBits", inputs, [{ type: "float32", shape }], { domain: "com.microsoft", attributes })[0]!
}

/** round(x / scale) + zeroPoint, saturating, as uint8. */
export function quantizeLinear(x: Value, scale: Value, zeroPoint: Value): Value {
  requireType("quantizeLinear", ["float32"], x, scale)
  requireType("quantizeLinear", ["uint8"], zeroPoint)
  return x.graph.node("QuantizeLinear", [x, scale, zeroPoint], [{ type: "uint8", shape: x.shape }])[0]!
}

/**
 * (x − xZero)·W · xScale · wScale, integers inside, float32 out (onnxruntime's MatMulIntegerToFloat).
 * x: uint8 [..., in] (int8 would take a path thirty times slower); weights: int8 [in, out]; weightScale: float32 [out].
 */
export function integerMatmul(x: Value, weights: Value, xScale: Value, weightScale: Value, xZero: Value): Value {
  requireType("integerMatmul", ["uint8"], x, xZero)
  requireType("integerMatmul", ["int8"], weights)
  if (!dimEqual(x.shape.at(-1)!, weights.shape[0]!)) fail("integerMatmul", "inner sizes differ", x, weights)
  const shape = x.shape.with(-1, weights.shape[1]!)
  return x.graph.node("MatMulIntegerToFloat", [x, weights, xScale, weightScale, xZero], [{ type: "float32", shape }], {
    domain: "com.microsoft",
  })[0]!
}
