/**
 * A feature drafter as a differentiable graph over whole windows, unrolled: step 1 reads the target's features, each
 * later step the features that the step before predicted, as it will when it drafts (EAGLE-3's training-time test).
 */
import {
  add,
  concat,
  fusedMatmul,
  type Graph,
  pad,
  reshape,
  rotary,
  slice,
  softmax,
  split,
  transpose,
  type Value,
} from "../../graph/index.ts"
import {
  type DrafterWeights,
  finishLayer,
  fuse,
  layerWeights,
  type Projected,
  project,
} from "../../models/drafter/layer.ts"
import type { DrafterSizes } from "../../models/drafter/sizes.ts"
import { ropeFrequencies, ropeRow } from "../../models/rope.ts"

export interface Windows {
  readonly batch: number
  /** Rows of a window; blocks of `span` are counted from its start, so the span divides it. */
  readonly length: number
  /** [batch·length, hidden] */
  readonly embedded: Value
  readonly features: Value
}

/** @returns what each step predicts, [batch·length, hidden] */
export function unrolled(sizes: DrafterSizes, weights: DrafterWeights, windows: Windows, steps: number): Value[] {
  const { batch, length, embedded } = windows
  const turn = turning(embedded.graph, sizes, batch, length)
  const predicted: Value[] = []
  /** Of each layer, its passes. */
  const layers = Array.from({ length: sizes.layers ?? 1 }, (): Projected[] => [])
  let features = windows.features
  for (let step = 0; step < steps; step++) {
    let rows = fuse(sizes, weights, embedded, features)
    for (const [layer, passes] of layers.entries()) {
      const own = layerWeights(weights, layer)
      passes.push(project(sizes, own, rows, turn))
      rows = finishLayer(sizes, own, rows, attendSteps(sizes, passes, windows))
    }
    predicted.push(rows)
    features = shifted(sizes, windows, rows)
  }
  return predicted
}

/** Each block's features as the block before predicted them; the first block keeps the target's. */
function shifted({ hidden, span }: DrafterSizes, { batch, length, features }: Windows, predicted: Value): Value {
  if (length === span) return features
  const apart = (x: Value) => reshape(x, [batch, length, hidden])
  const rows = concat([slice(apart(features), 1, 0, span), slice(apart(predicted), 1, 0, length - span)], 1)
  return reshape(rows, [batch * length, hidden])
}

/**
 * Rows of the last pass see the first pass's rows of blocks that lie as many back as there were passes since, and on
 * the way their own block and those just before it in the pass that made each. @returns [batch·length, heads·headSize]
 */
function attendSteps(sizes: DrafterSizes, passes: readonly Projected[], { batch, length }: Windows): Value {
  const { heads, kvHeads, headSize, span } = sizes
  const [groups, blocks] = [heads / kvHeads, length / span]
  const last = passes.at(-1)!
  const grouped = reshape(transpose(reshape(last.query, [batch, length, kvHeads, groups, headSize]), [0, 2, 3, 1, 4]), [
    batch,
    kvHeads,
    groups * length,
    headSize,
  ])
  const inBlocks = reshape(grouped, [batch, kvHeads, groups, blocks, span, headSize])
  const apart = (x: Value) => transpose(reshape(x, [batch, length, kvHeads, headSize]), [0, 2, 1, 3])
  const alpha = 1 / Math.sqrt(headSize)
  const far = fusedMatmul(grouped, apart(passes[0]!.key), { transB: true, alpha })
  const scores = [add(far, farMask(grouped.graph, { groups, length, span, back: passes.length - 1 }))]
  /** Blocks of a later pass, moved down so that each stands where it is seen from: [batch, kvHeads, 1, blocks, span, headSize] */
  const near = passes.slice(1).map((pass, i) => {
    const back = passes.length - 2 - i
    const moved = (x: Value) => {
      const rows = reshape(apart(x), [batch, kvHeads, 1, blocks, span, headSize])
      return back === 0 ? rows : slice(pad(rows, 3, back, 0), 3, 0, blocks)
    }
    return { keys: moved(pass.key), values: moved(pass.value), back }
  })
  for (const { keys, back } of near) {
    const own = reshape(fusedMatmul(inBlocks, keys, { transB: true, alpha }), [batch, kvHeads, groups * length, span])
    scores.push(back === 0 ? own : add(own, nearMask(grouped.graph, { groups, length, span, back })))
  }
  const shares = softmax(concat(scores, 3))
  const parts = split(shares, [length, ...near.map(() => span)], 3)
  let attended = fusedMatmul(parts[0]!, apart(passes[0]!.value), {})
  for (const [i, { values }] of near.entries()) {
    const own = reshape(parts[i + 1]!, [batch, kvHeads, groups, blocks, span, span])
    attended = add(attended, reshape(fusedMatmul(own, values, {}), [batch, kvHeads, groups * length, headSize]))
  }
  const back = transpose(reshape(attended, [batch, kvHeads, groups, length, headSize]), [0, 3, 1, 2, 4])
  return reshape(back, [batch * length, heads * headSize])
}

interface MaskOptions {
  readonly groups: number
  readonly length: number
  readonly span: number
  /** Blocks that rows of a later pass stand in for. */
  readonly back: number
}

/** [1, 1, groups·length, length]: whole blocks, `back` or more before a row's own. */
function farMask(graph: Graph, { groups, length, span, back }: MaskOptions): Value {
  return constantOnce(graph, `far ${length} ${span} ${back}`, [1, 1, groups * length, length], (at) => {
    const [row, column] = [Math.floor(at / length) % length, at % length]
    return Math.floor(column / span) <= Math.floor(row / span) - back ? 0 : Number.NEGATIVE_INFINITY
  })
}

/** [1, 1, groups·length, 1]: nothing stands before the first blocks. */
function nearMask(graph: Graph, { groups, length, span, back }: MaskOptions): Value {
  return constantOnce(graph, `near ${length} ${span} ${back}`, [1, 1, groups * length, 1], (at) =>
    Math.floor((at % length) / span) >= back ? 0 : Number.NEGATIVE_INFINITY,
  )
}

/** Rotary embedding of rows that stand at positions 0, 1, … of each window. */
function turning(graph: Graph, { rope, headSize }: DrafterSizes, batch: number, length: number) {
  const half = rope.dimensions / 2
  const [cosines, sines] = [new Float32Array(length * half), new Float32Array(length * half)]
  const frequencies = ropeFrequencies(rope)
  for (let row = 0; row < length; row++) ropeRow(frequencies, row, cosines, sines, row * half)
  const cos = constantOnce(graph, `cos ${length}`, [length, half], (at) => cosines[at]!)
  const sin = constantOnce(graph, `sin ${length}`, [length, half], (at) => sines[at]!)
  const first = graph.constant("int64", [1], [0])
  return (x: Value, heads: number) => {
    const width = heads * headSize
    return reshape(rotary(reshape(x, [batch, length, width]), first, cos, sin, heads), [batch * length, width])
  }
}

/** A table that several unrollings of one graph share. */
function constantOnce(graph: Graph, name: string, shape: readonly number[], value: (at: number) => number): Value {
  const size = shape.reduce((n, dim) => n * dim, 1)
  return (
    graph.values.get(name) ??
    graph.weight(
      name,
      "float32",
      shape,
      () => new Uint8Array(Float32Array.from({ length: size }, (_, at) => value(at)).buffer),
    )
  )
}
