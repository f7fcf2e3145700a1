/** Puts a whole model together: layers, taps, head, and the inputs and outputs that the runtime works with. */
import {
  add,
  and,
  concat,
  conditional,
  exp,
  type Graph,
  gather,
  less,
  lessOrEqual,
  log,
  reduceMax,
  reduceSum,
  softcap,
  subtract,
  topK,
  type Value,
} from "../graph/index.ts"
import { ModelBuilder, type Residual, type RopeTable, rows } from "./builder.ts"
import type { ModelConfig } from "./config.ts"
import { familyOf } from "./index.ts"
import type { LinearFormat } from "./linear.ts"
import type { WeightSource } from "./weights.ts"

/**
 * Inputs: x [rows, hidden] (embeddings or hidden states), logitRows int64 [picked], top int64 [1], wantTop, wantHidden
 * bool, cos<i>, sin<i>, bias<i>, blockBias<i>, the cache (attention.ts); a steerable graph also from, to int64 [].
 * Outputs: keys, values [layers that ran · rows, kvHeads, headSize]; hidden [(layers + 1) · rows, hidden] or empty;
 * final [rows, hidden] after the final norm, wherever the pass ended;
 * logits [picked, vocabulary]; topValues, topIndices [picked, top] and topLogMass [picked, 1], or empty.
 */
export interface ModelGraph {
  readonly graph: Graph
  readonly config: ModelConfig
  readonly ropeTables: readonly RopeTable[]
  readonly windows: readonly (number | undefined)[]
  readonly steerable: boolean
  readonly merged: boolean
}

export interface BuildOptions {
  /**
   * Each layer inside an If, so that any span of layers can run (RUNTIME §4). Same bits as the plain graph, slower: an
   * If costs as much as ten small operators.
   */
  readonly steerable: boolean
  /** Attention over the pasts of several sequences (merged-attention.ts): same bits, slower for one sequence alone. */
  readonly merged: boolean
  readonly format: LinearFormat
}

export function buildModel(config: ModelConfig, source: WeightSource, options: BuildOptions): ModelGraph {
  const family = familyOf(config.family)
  const b = new ModelBuilder(config, source, options.format, options.merged)
  const { graph } = b
  const hidden: Value[] = []
  // Every norm adds and normalises in one operator, the first one too: the same bits wherever a span begins.
  const input = graph.input("x", "float32", [rows, config.hidden])
  let x: Residual = { base: input, delta: subtract(input, input) }
  const span = options.steerable
    ? { from: graph.input("from", "int64", []), to: graph.input("to", "int64", []) }
    : undefined
  for (let layer = 0; layer < config.layers; layer++)
    x = graph.scope(`layer${layer}`, () => {
      if (!span) return family.layer(b, layer, x, (value) => hidden.push(value))
      hidden.push(b.sum(x))
      return skippable(b, layer, x, span, (entering) => family.layer(b, layer, entering, () => {}))
    })
  const { sum, normed } = graph.scope("head", () => family.finalNorm(b, x))
  hidden.push(sum)
  graph.output("keys", concat(b.keys, 0))
  graph.output("values", concat(b.values, 0))
  graph.output("final", normed)
  const all = conditional(
    graph.input("wantHidden", "bool", []),
    [["hiddenRows", config.hidden]],
    () => [concat(hidden, 0)],
    () => [gather(sum, graph.constant("int64", [0], []))],
  )
  graph.output("hidden", all[0]!)

  const picked = gather(normed, graph.input("logitRows", "int64", ["picked"]))
  const product = b.outlierLinear(config.tiedHead ? family.embedding : family.head)(picked)
  const logits = config.logitSoftcap === undefined ? product : softcap(product, config.logitSoftcap)
  graph.output("logits", logits)
  const count = graph.input("top", "int64", [1])
  const [values, indices, logMass] = conditional(
    graph.input("wantTop", "bool", []),
    [
      ["topRows", "top"],
      ["topRows", "top"],
      ["topRows", "mass"],
    ],
    () => {
      const top = topK(logits, count, "top")
      const largest = reduceMax(logits, 1)
      return [top.values, top.indices, add(largest, log(reduceSum(exp(subtract(logits, largest)), 1)))]
    },
    () => [
      graph.constant("float32", [0, 0], []),
      graph.constant("int64", [0, 0], []),
      graph.constant("float32", [0, 0], []),
    ],
  )
  graph.output("topValues", values!)
  graph.output("topIndices", indices!)
  graph.output("topLogMass", logMass!)
  const { steerable, merged } = options
  return { graph, config, ropeTables: b.ropeTables, windows: b.windows, steerable, merged }
}

/** Runs the layer only when from ≤ layer < to; otherwise passes the residual on and returns no new cache rows. */
function skippable(
  b: ModelBuilder,
  layer: number,
  x: Residual,
  span: { from: Value; to: Value },
  run: (x: Residual) => Residual,
): Residual {
  const { graph, config } = b
  const index = graph.scalar("int64", layer)
  const inside = and(lessOrEqual(span.from, index), less(index, span.to))
  const none = graph.constant("float32", [0, config.kvHeads, config.headSize], [])
  const cacheShape = [`rows${layer}`, config.kvHeads, config.headSize]
  const [base, delta, keys, values] = conditional(
    inside,
    [x.base.shape, x.base.shape, cacheShape, cacheShape],
    () => {
      const left = run(x)
      return [left.base, left.delta, b.keys[layer]!, b.values[layer]!]
    },
    () => [x.base, x.delta, none, none],
  )
  b.keys[layer] = keys!
  b.values[layer] = values!
  return { base: base!, delta: delta! }
}
