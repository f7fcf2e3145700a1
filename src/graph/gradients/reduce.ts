/** Gradients of reductions and of the softmax family. */
import type { Shape } from "../dim.ts"
import { cast, divide, equal, exp, multiply, subtract } from "../ops/math.ts"
import { reshape } from "../ops/movement.ts"
import { reduceSum } from "../ops/reduce.ts"
import { expand, scatterAddElements } from "../ops/scatter.ts"
import type { Value } from "../value.ts"
import { constantIntegers, type Met, type Rule, type Rules, scalarLike } from "./rule.ts"

/** The operand's shape with the reduced axes of size 1. */
function kept(met: Met): Shape {
  const axes = constantIntegers(met, 1)
  return met.shape(0).map((dim, axis) => (axes.includes(axis) ? 1 : dim))
}

/** `build` receives operand, result and gradient, the last two with the reduced axes back in place. */
const reduction =
  (build: (x: Value, result: Value, gradient: Value, met: Met) => Value): Rule =>
  (met) => [
    () => {
      const shape = kept(met)
      return build(met.input(0), reshape(met.output(0), shape), reshape(met.gradient, shape), met)
    },
  ]

const times = (value: Value, factor: number): Value => multiply(value, scalarLike(value, factor))

export const reduceRules: Rules = {
  ReduceSum: (met) => [() => expand(reshape(met.gradient, kept(met)), met.shape(0))],
  ReduceMean: (met) => {
    const shape = met.shape(0)
    const share = () => 1 / constantIntegers(met, 1).reduce((count, axis) => count * Number(shape[axis]), 1)
    return [() => expand(times(reshape(met.gradient, kept(met)), share()), shape)]
  },
  /** Equal largest entries share the gradient. */
  ReduceMax: reduction((x, largest, gradient, met) => {
    const hits = cast(equal(x, largest), x.type)
    return multiply(hits, divide(gradient, reduceSum(hits, constantIntegers(met, 1))))
  }),
  ReduceLogSumExp: reduction((x, result, gradient) => multiply(exp(subtract(x, result)), gradient)),
  ReduceSumSquare: reduction((x, _, gradient) => multiply(x, times(gradient, 2))),
  Softmax: (met) => [
    () => {
      const [y, g] = [met.output(0), met.gradient]
      return multiply(y, subtract(g, reduceSum(multiply(g, y), -1)))
    },
  ],
  LogSoftmax: (met) => [() => subtract(met.gradient, multiply(exp(met.output(0)), reduceSum(met.gradient, -1)))],
  /** Of its values; indices have none. */
  TopK: (met) => [() => ({ addTo: (dense) => scatterAddElements(dense, met.output(1), met.gradient, -1) })],
}
