/** Gradients of normalisations and of the rotary embedding. */
import { add, divide, multiply, negate, sqrt, subtract } from "../ops/math.ts"
import { rotary } from "../ops/norm.ts"
import { reduceMean } from "../ops/reduce.ts"
import type { Value } from "../value.ts"
import { floatAttribute, integerAttribute, type Met, type Rules, scalarLike, summedTo } from "./rule.ts"

/** x / sqrt(mean(x²) + ε) and the divisor's inverse. */
function scaled(x: Value, epsilon: number): { unit: Value; inverse: Value } {
  const root = sqrt(add(reduceMean(multiply(x, x), -1), scalarLike(x, epsilon)))
  const inverse = divide(scalarLike(x, 1), root)
  return { unit: multiply(x, inverse), inverse }
}

/** Through the division: r·(g − u·mean(g·u)), u being the normalised row. */
function throughScale(gradient: Value, { unit, inverse }: { unit: Value; inverse: Value }): Value {
  return multiply(inverse, subtract(gradient, multiply(unit, reduceMean(multiply(gradient, unit), -1))))
}

/** Values that several operands' gradients share, built when the first asks. */
function once<T>(build: () => T): () => T {
  let built: T | undefined
  return () => (built ??= build())
}

function rmsNormRule(met: Met) {
  const row = once(() => scaled(met.input(0), floatAttribute(met, "epsilon", 1e-5)))
  return [
    () => throughScale(multiply(met.gradient, met.input(1)), row()),
    () => summedTo(multiply(met.gradient, row().unit), met.shape(1)),
  ]
}

/** Operands x, y, weight; results the norm and, fourth, the sum. */
function addRmsNormRule(met: Met) {
  const [normed, , , passed] = met.gradients
  const row = once(() => scaled(met.output(3), floatAttribute(met, "epsilon", 1e-5)))
  const toSum = once(() => {
    if (!normed) return passed!
    const through = throughScale(multiply(normed, met.input(2)), row())
    return passed ? add(through, passed) : through
  })
  const toWeight = () => summedTo(multiply(normed!, row().unit), met.shape(2))
  return [toSum, toSum, normed ? toWeight : undefined]
}

function layerNormRule(met: Met) {
  const row = once(() => {
    const x = met.input(0)
    return scaled(subtract(x, reduceMean(x, -1)), floatAttribute(met, "epsilon", 1e-5))
  })
  return [
    () => {
      const inner = throughScale(multiply(met.gradient, met.input(1)), row())
      return subtract(inner, reduceMean(inner, -1))
    },
    () => summedTo(multiply(met.gradient, row().unit), met.shape(1)),
    () => summedTo(met.gradient, met.shape(2)),
  ]
}

export const normRules: Rules = {
  SimplifiedLayerNormalization: rmsNormRule,
  SkipSimplifiedLayerNormalization: addRmsNormRule,
  LayerNormalization: layerNormRule,
  /** A turn by the opposite angle, which is the transposed map also where the tables carry a scale. */
  RotaryEmbedding: (met) => [
    () => rotary(met.gradient, met.input(1), met.input(2), negate(met.input(3)), integerAttribute(met, "num_heads", 1)),
  ],
}
