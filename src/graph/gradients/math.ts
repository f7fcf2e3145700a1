/** Gradients of elementwise operators. */

import {
  add,
  cast,
  divide,
  erf,
  exp,
  less,
  lessOrEqual,
  log,
  multiply,
  negate,
  power,
  sigmoid,
  subtract,
  tanh,
  where,
} from "../ops/math.ts"
import type { Value } from "../value.ts"
import type { Contribution, Met, Rule, Rules } from "./rule.ts"
import { floatAttribute, scalarLike, summedTo } from "./rule.ts"

const one = (value: Value): Value => scalarLike(value, 1)
const zero = (value: Value): Value => scalarLike(value, 0)
const times = (value: Value, factor: number): Value => multiply(value, scalarLike(value, factor))

/** Two operands that broadcast: each rule's gradient is summed to its operand's shape. */
const binary =
  (left: (met: Met) => Value, right: (met: Met) => Value): Rule =>
  (met) => [() => summedTo(left(met), met.shape(0)), () => summedTo(right(met), met.shape(1))]

/** One operand; `slope` is the derivative at each entry. */
const unary =
  (slope: (met: Met) => Value): Rule =>
  (met) => [() => multiply(met.gradient, slope(met))]

/** The larger (or smaller) operand takes all; of equal ones the first. */
const pick = (first: (a: Value, b: Value) => Value): Rule =>
  binary(
    (met) => where(first(met.input(0), met.input(1)), met.gradient, zero(met.gradient)),
    (met) => where(first(met.input(0), met.input(1)), zero(met.gradient), met.gradient),
  )

/** d/dx x·σ(αx) = σ + αy(1 − σ) */
function quickGelu(met: Met): Value {
  const x = met.input(0)
  const alpha = floatAttribute(met, "alpha", 1.702)
  const gate = sigmoid(alpha === 1 ? x : times(x, alpha))
  const rest = multiply(met.output(0), subtract(one(x), gate))
  return add(gate, alpha === 1 ? rest : times(rest, alpha))
}

/** Φ(x) + xφ(x) */
function exactGelu(x: Value): Value {
  const area = times(add(erf(times(x, Math.SQRT1_2)), one(x)), 0.5)
  const density = times(exp(times(multiply(x, x), -0.5)), 1 / Math.sqrt(2 * Math.PI))
  return add(area, multiply(x, density))
}

function tanhGelu(x: Value): Value {
  const [scale, cubic] = [Math.sqrt(2 / Math.PI), 0.044715]
  const square = multiply(x, x)
  const bent = tanh(times(multiply(x, add(one(x), times(square, cubic))), scale))
  const inner = times(add(one(x), times(square, 3 * cubic)), scale)
  const side = multiply(multiply(x, subtract(one(x), multiply(bent, bent))), inner)
  return times(add(add(one(x), bent), side), 0.5)
}

export const mathRules: Rules = {
  Identity: (met) => [() => met.gradient],
  Cast: (met) => [() => cast(met.gradient, met.input(0).type)],
  Add: binary(
    (met) => met.gradient,
    (met) => met.gradient,
  ),
  Sub: binary(
    (met) => met.gradient,
    (met) => negate(met.gradient),
  ),
  Mul: binary(
    (met) => multiply(met.gradient, met.input(1)),
    (met) => multiply(met.gradient, met.input(0)),
  ),
  Div: binary(
    (met) => divide(met.gradient, met.input(1)),
    (met) => negate(divide(multiply(met.gradient, met.output(0)), met.input(1))),
  ),
  Pow: binary(
    (met) => {
      const [base, exponent] = [met.input(0), met.input(1)]
      return multiply(met.gradient, multiply(exponent, power(base, subtract(exponent, one(exponent)))))
    },
    (met) => multiply(met.gradient, multiply(met.output(0), log(met.input(0)))),
  ),
  Max: pick((a, b) => lessOrEqual(b, a)),
  Min: pick((a, b) => lessOrEqual(a, b)),
  Where: (met) => {
    const side = (index: number, build: (condition: Value) => Value) => (): Contribution =>
      summedTo(build(met.input(0)), met.shape(index))
    const g = met.gradient
    return [undefined, side(1, (c) => where(c, g, zero(g))), side(2, (c) => where(c, zero(g), g))]
  },
  Abs: (met) => [() => where(less(met.input(0), zero(met.gradient)), negate(met.gradient), met.gradient)],
  Relu: (met) => [() => where(less(zero(met.gradient), met.output(0)), met.gradient, zero(met.gradient))],
  Neg: (met) => [() => negate(met.gradient)],
  Exp: unary((met) => met.output(0)),
  Log: (met) => [() => divide(met.gradient, met.input(0))],
  Sqrt: (met) => [() => divide(times(met.gradient, 0.5), met.output(0))],
  Tanh: unary((met) => subtract(one(met.gradient), multiply(met.output(0), met.output(0)))),
  Sigmoid: unary((met) => multiply(met.output(0), subtract(one(met.gradient), met.output(0)))),
  Erf: unary((met) => times(exp(negate(multiply(met.input(0), met.input(0)))), 2 / Math.sqrt(Math.PI))),
  QuickGelu: unary(quickGelu),
  Gelu: unary((met) => (met.node.attributes.approximate === "tanh" ? tanhGelu : exactGelu)(met.input(0))),
}
