/** Llama and mistral in plain float64 JavaScript, position by position from their definition: an oracle, not a copy. */
import type { Checkpoint } from "../../src/models/files/checkpoint.ts"
import { range } from "./tiny-runner.ts"

type Vector = Float64Array<ArrayBuffer>

export interface ReferenceRows {
  readonly tokens: readonly number[]
  readonly positions: readonly number[]
  /** Whether row i may attend to row j, the sliding window aside. */
  readonly sees: (i: number, j: number) => boolean
}

/** @returns logits of every row, all rows attending to each other as `sees` says. */
export function referenceLogits(checkpoint: Checkpoint, { tokens, positions, sees }: ReferenceRows): Vector[] {
  const { config, weights } = checkpoint
  const { hidden, heads, kvHeads, headSize, normEpsilon } = config
  const load = (name: string): Vector => Float64Array.from(weights.float32(`${name}.weight`))

  const apply = (matrix: Vector, x: Vector): Vector =>
    Float64Array.from({ length: matrix.length / x.length }, (_, row) => {
      let sum = 0
      for (let i = 0; i < x.length; i++) sum += matrix[row * x.length + i]! * x[i]!
      return sum
    })
  const normed = (x: Vector, weight: Vector): Vector => {
    const root = Math.sqrt(x.reduce((sum, value) => sum + value * value, 0) / x.length + normEpsilon)
    return x.map((value, i) => (value / root) * weight[i]!)
  }
  const turned = (x: Vector, position: number, base: number): Vector => {
    const out = x.slice()
    const half = headSize / 2
    for (let head = 0; head < x.length; head += headSize)
      for (let i = 0; i < half; i++) {
        const angle = position * base ** (-i / half)
        const [a, b] = [x[head + i]!, x[head + half + i]!]
        out[head + i] = a * Math.cos(angle) - b * Math.sin(angle)
        out[head + half + i] = b * Math.cos(angle) + a * Math.sin(angle)
      }
    return out
  }
  const plus = (a: Vector, b: Vector): Vector => a.map((value, i) => value + b[i]!)

  const embedding = load("model.embed_tokens")
  let x = tokens.map((token) => embedding.slice(token * hidden, (token + 1) * hidden))
  for (const index of range(config.layers)) {
    const layer = `model.layers.${index}`
    const { rope, slidingWindow } = config.layer[index]!
    const inWindow = (i: number, j: number) =>
      slidingWindow === undefined || Math.abs(positions[i]! - positions[j]!) < slidingWindow
    const project = (name: string) => {
      const matrix = load(`${layer}.self_attn.${name}_proj`)
      const norm = load(`${layer}.input_layernorm`)
      return x.map((row) => apply(matrix, normed(row, norm)))
    }
    const turn = (rows: Vector[]) => rows.map((row, i) => turned(row, positions[i]!, rope!.base))
    const [queries, keys, values] = [turn(project("q")), turn(project("k")), project("v")]
    const output = load(`${layer}.self_attn.o_proj`)
    const attended = x.map((_, i) => {
      const visible = range(tokens.length).filter((j) => sees(i, j) && inWindow(i, j))
      const mixed = new Float64Array(heads * headSize)
      for (const head of range(heads)) {
        const from = Math.floor((head * kvHeads) / heads) * headSize
        const weightsOf = visible.map((j) => {
          let dot = 0
          for (let k = 0; k < headSize; k++) dot += queries[i]![head * headSize + k]! * keys[j]![from + k]!
          return Math.exp(dot / Math.sqrt(headSize))
        })
        const total = weightsOf.reduce((sum, weight) => sum + weight, 0)
        for (const [n, j] of visible.entries())
          for (let k = 0; k < headSize; k++)
            mixed[head * headSize + k]! += (weightsOf[n]! / total) * values[j]![from + k]!
      }
      return apply(output, mixed)
    })
    const [gate, up, down] = (["gate", "up", "down"] as const).map((name) => load(`${layer}.mlp.${name}_proj`))
    const norm = load(`${layer}.post_attention_layernorm`)
    x = x.map((row, i) => {
      const middle = plus(row, attended[i]!)
      const entering = normed(middle, norm)
      const raised = apply(up!, entering)
      const inner = apply(gate!, entering).map((value, k) => (value / (1 + Math.exp(-value))) * raised[k]!)
      return plus(middle, apply(down!, inner))
    })
  }
  const head = config.tiedHead ? embedding : load("lm_head")
  const norm = load("model.norm")
  return x.map((row) => apply(head, normed(row, norm)))
}
