/** The head as a graph, and its loss: a cross-entropy in which refusals weigh more (paper, §3.3). */
import {
  add,
  divide,
  fusedMatmul,
  log,
  logSoftmax,
  maximum,
  multiply,
  negate,
  reduceMean,
  reduceSum,
  silu,
  split,
  squeeze,
  subtract,
  type Value,
} from "../../graph/index.ts"
import { acceptRow, headTensors } from "./acceptance-head.ts"

export interface HeadShape {
  readonly width: number
  readonly depth: number
  /** One block, applied `depth` times, as in the official code; else a block of its own each time. */
  readonly tied: boolean
}

export const storedBlocks = ({ depth, tied }: HeadShape): number => (tied ? Math.min(1, depth) : depth)

/** @param states [rows, width] → logits [rows, 2] */
export function headLogits(states: Value, parameter: (name: string) => Value, shape: HeadShape): Value {
  let x = states
  for (let block = 0; block < shape.depth; block++) {
    const stored = shape.tied ? 0 : block
    const product = fusedMatmul(x, parameter(headTensors.weight(stored)), { transB: true })
    x = add(x, silu(add(product, parameter(headTensors.bias(stored)))))
  }
  return add(fusedMatmul(x, parameter(headTensors.out), { transB: true }), parameter(headTensors.outBias))
}

/**
 * (w Σ (1 − a)(−ln P(reject)) + Σ a (−ln P(accept))) / (w Σ (1 − a) + Σ a)
 * @param acceptance a: probability that the target takes the token, [rows]
 */
export function headLoss(logits: Value, acceptance: Value, rejectWeight: number): Value {
  const { graph } = logits
  const logs = split(logSoftmax(logits), [1, 1], 1).map((column) => squeeze(column, 1))
  const number = (value: number) => graph.scalar("float32", value)
  const refused = multiply(subtract(number(1), acceptance), number(rejectWeight))
  const terms = add(multiply(refused, logs[1 - acceptRow]!), multiply(acceptance, logs[acceptRow]!))
  const sum = (x: Value) => reduceSum(x, 0, false)
  return negate(divide(sum(terms), add(sum(refused), sum(acceptance))))
}

/** Mean KL divergence of the head's two-way law from the labels' (Bernoulli): the paper's measure on held-out text. */
export function headDivergence(logits: Value, acceptance: Value): Value {
  const { graph } = logits
  const logs = split(logSoftmax(logits), [1, 1], 1).map((column) => squeeze(column, 1))
  const [tiny, one] = [graph.scalar("float32", 1e-9), graph.scalar("float32", 1)]
  const against = (share: Value, column: Value) => multiply(share, subtract(log(maximum(share, tiny)), column))
  const refusal = against(subtract(one, acceptance), logs[1 - acceptRow]!)
  return reduceMean(add(refusal, against(acceptance, logs[acceptRow]!)), 0, false)
}
