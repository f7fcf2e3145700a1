/** Losses and metrics as graphs: rows of logits in, one number out. */
import {
  absolute,
  add,
  cast,
  divide,
  exp,
  gatherElements,
  less,
  lessOrEqual,
  log,
  logSoftmax,
  maximum,
  multiply,
  negate,
  reduceLogSumExp,
  reduceMax,
  reduceMean,
  reduceSum,
  softmax,
  squeeze,
  subtract,
  unsqueeze,
  type Value,
  where,
} from "../graph/index.ts"

const number = (like: Value, value: number): Value => like.graph.scalar(like.type, value)
const allAxes = (x: Value): number[] => x.shape.map((_, axis) => axis)

/** The mean as a scalar; with weights (of the same shape) Σ w·x / Σ w, and 0 where all weights are 0. */
export function mean(x: Value, weights?: Value): Value {
  if (!weights) return reduceMean(x, allAxes(x), false)
  const mass = maximum(reduceSum(weights, allAxes(weights), false), number(x, 1e-6))
  return divide(reduceSum(multiply(x, weights), allAxes(x), false), mass)
}

/** −ln p(label) of each row. logits [rows, classes], labels int64 [rows] → [rows] */
export function crossEntropy(logits: Value, labels: Value): Value {
  const picked = gatherElements(logits, unsqueeze(labels, 1), 1)
  return squeeze(subtract(reduceLogSumExp(logits, 1), picked), 1)
}

/** −Σ p ln q of each row, for probabilities of a teacher. Both [rows, classes] → [rows] */
export function softCrossEntropy(logits: Value, probabilities: Value): Value {
  return negate(reduceSum(multiply(probabilities, logSoftmax(logits)), 1, false))
}

/** KL(teacher ‖ student) of each row. Both logits [rows, classes] → [rows] */
export function divergence(teacherLogits: Value, logits: Value): Value {
  const [p, q] = [logSoftmax(teacherLogits), logSoftmax(logits)]
  return reduceSum(multiply(softmax(teacherLogits), subtract(p, q)), 1, false)
}

/** Binary cross-entropy of logits z against targets t in [0, 1], entry by entry: max(z, 0) − z·t + ln(1 + e^−|z|). */
export function binaryCrossEntropy(logits: Value, targets: Value): Value {
  const tail = log(add(number(logits, 1), exp(negate(absolute(logits)))))
  return add(subtract(maximum(logits, number(logits, 0)), multiply(logits, targets)), tail)
}

/** d²/2 for |d| < 1 and |d| − ½ beyond, entry by entry. */
export function smoothL1(x: Value, y: Value): Value {
  const distance = absolute(subtract(x, y))
  const half = number(x, 0.5)
  const near = multiply(multiply(distance, distance), half)
  return where(less(distance, number(x, 1)), near, subtract(distance, half))
}

/** 1 for rows whose label has the largest logit, else 0: [rows]. No gradient. */
export function hits(logits: Value, labels: Value): Value {
  const picked = gatherElements(logits, unsqueeze(labels, 1), 1)
  return squeeze(cast(lessOrEqual(reduceMax(logits, 1), picked), logits.type), 1)
}
