/** The acceptance head: what a draft model's last hidden state says of the chance that the target accepts its token. */
import { ForerunError } from "../../base/errors.ts"
import type { PartTensor } from "../../models/trained-part.ts"

export interface AcceptanceHead {
  /** Hidden size of the draft model that it was trained on. */
  readonly width: number
  /** @param hidden after the final norm, of the row that read the token to be judged: [width] */
  accepts(hidden: Float32Array): number
}

/** Names of its tensors. Block i is x + SiLU(W·x + b); the last layer has a row for "reject" and one for "accept". */
export const headTensors = {
  weight: (block: number) => `head.blocks.${block}.weight`,
  bias: (block: number) => `head.blocks.${block}.bias`,
  out: "head.out.weight",
  outBias: "head.out.bias",
} as const

/** Row of the last layer that stands for acceptance. */
export const acceptRow = 1

/**
 * @param depth blocks that are applied; where only the first is stored, it is applied so often (tied blocks)
 * @throws E_MODEL_FORMAT naming the tensor that is missing or of another shape
 */
export function createAcceptanceHead(tensors: ReadonlyMap<string, PartTensor>, depth: number): AcceptanceHead {
  if (!Number.isInteger(depth) || depth < 0 || depth > 64)
    throw new ForerunError("E_MODEL_FORMAT", `acceptance head: its record says a depth of ${depth}`)
  const width = tensors.get(headTensors.out)?.shape[1] ?? 0
  const get = (name: string, shape: readonly number[]): Float32Array => {
    const found = tensors.get(name)
    if (found && width > 0 && found.shape.join() === shape.join()) return found.values
    const there = found ? `[${found.shape.join(", ")}]` : "none"
    throw new ForerunError("E_MODEL_FORMAT", `acceptance head: needed ${name} [${shape.join(", ")}], found ${there}`)
  }
  const out = get(headTensors.out, [2, width])
  const outBias = get(headTensors.outBias, [2])
  const blocks = Array.from({ length: depth }, (_, i) => {
    const stored = tensors.has(headTensors.weight(i)) ? i : 0
    return { weight: get(headTensors.weight(stored), [width, width]), bias: get(headTensors.bias(stored), [width]) }
  })
  return {
    width,
    accepts(hidden) {
      let x = hidden
      for (const { weight, bias } of blocks) x = applyBlock(x, weight, bias)
      const reject = 1 - acceptRow
      const margin =
        dot(out, acceptRow * width, x) + outBias[acceptRow]! - dot(out, reject * width, x) - outBias[reject]!
      return 1 / (1 + Math.exp(-margin)) // softmax of two
    },
  }
}

function applyBlock(x: Float32Array, weight: Float32Array, bias: Float32Array): Float32Array {
  const next = new Float32Array(x.length)
  for (let i = 0; i < x.length; i++) {
    const inner = dot(weight, i * x.length, x) + bias[i]!
    next[i] = x[i]! + inner / (1 + Math.exp(-inner))
  }
  return next
}

/** Row of a matrix, from `from` on, times a vector. */
function dot(matrix: Float32Array, from: number, x: Float32Array): number {
  let sum = 0
  for (let i = 0; i < x.length; i++) sum += matrix[from + i]! * x[i]!
  return sum
}
