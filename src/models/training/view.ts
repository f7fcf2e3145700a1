/**
 * A model as a differentiable graph: batches of whole sequences, no cache, no conditionals. What recipes build their
 * losses from. Spans of layers can be taken apart, so that hidden states may be read, replaced or joined between them.
 */
import { ForerunError } from "../../base/errors.ts"
import {
  add,
  fusedMatmul,
  type Graph,
  gather,
  multiply,
  recomputed,
  reshape,
  rmsNorm,
  softcap,
  type Value,
} from "../../graph/index.ts"
import type { ModelConfig } from "../config.ts"
import { activate } from "../mlp.ts"
import type { WeightSource } from "../weights.ts"
import { type AttentionContext, type Rows, trainingAttention } from "./attention.ts"
import { type Adapt, type Beside, type FloatType, TrainingWeights } from "./weights.ts"

export interface ViewOptions {
  readonly config: ModelConfig
  readonly weights: WeightSource
  /** Which weights are trained, and how; default: all frozen. */
  readonly adapt?: Adapt
  /** float64 is for checks. Default float32. */
  readonly type?: FloatType
  /** Positions end before this; default 2048 or the model's context. */
  readonly longest?: number
  /** Build each layer a second time for the backward pass rather than keep its values: less memory, a third more time. */
  readonly recompute?: boolean
}

export interface TrainingView {
  /** int64 [batch, length] → the residual stream before the first layer, [batch·length, hidden] */
  embed(tokens: Value): Value
  /** The residual stream after layers from … to − 1. */
  layers(x: Value, span: readonly [from: number, to: number], rows: Rows): Value
  /** The norm after the last layer. */
  norm(x: Value): Value
  /** [rows, hidden], normalised → logits [rows, vocabulary] */
  head(normed: Value): Value
  /** All of it: logits and the residual stream after each of the asked numbers of layers (0 = what enters the first). */
  forward(tokens: Value, hidden?: readonly number[]): { logits: Value; hidden: ReadonlyMap<number, Value> }
  /** The same model with low-rank changes beside its weights: a student beside its teacher, in one graph. */
  with(beside: Beside): TrainingView
  /** The same model with its own weights everywhere: what an adapted one was, in one graph. */
  unchanged(): TrainingView
}

type Layer = (context: AttentionContext, layer: number, x: Value, rows: Rows) => Value

/** Families whose layers can be differentiated. */
const trainable: Readonly<Record<string, Layer>> = {
  llama: llamaLayer,
  mistral: llamaLayer,
  qwen2: llamaLayer,
  qwen3: llamaLayer,
}

/** @throws ForerunError E_MODEL_UNSUPPORTED for other families */
export function trainingView(graph: Graph, options: ViewOptions): TrainingView {
  const { config, type = "float32", adapt = () => undefined, longest = Math.min(config.context, 2048) } = options
  const layer = Object.hasOwn(trainable, config.family) ? trainable[config.family] : undefined
  if (!layer)
    throw new ForerunError(
      "E_MODEL_UNSUPPORTED",
      `models of the family "${config.family}" cannot be trained on (families: ${Object.keys(trainable).join(", ")})`,
    )
  const weights = new TrainingWeights(graph, options.weights, { type, adapt })
  return viewOf({ config, weights, longest }, layer, options)
}

function viewOf(context: AttentionContext, layer: Layer, options: ViewOptions): TrainingView {
  const { config, weights, longest } = context
  const { graph, type } = weights
  const embedding = "model.embed_tokens.weight"

  const embed = (tokens: Value): Value => {
    const rows = gather(weights.get(embedding), reshape(tokens, [-1]))
    return config.embeddingScale === 1 ? rows : multiply(rows, graph.scalar(type, config.embeddingScale))
  }
  const layers: TrainingView["layers"] = (x, [from, to], rows) => {
    if (rows.length > longest)
      throw new ForerunError("E_CONTEXT_LENGTH", `${rows.length} rows, the view has ${longest}`)
    let stream = x
    for (let index = from; index < to; index++) {
      const build = () => graph.scope(`layer${index}`, () => layer(context, index, stream, rows))
      stream = options.recompute ? recomputed(graph, build) : build()
    }
    return stream
  }
  const norm = (x: Value) => rmsNorm(x, weights.get("model.norm.weight"), config.normEpsilon)
  const head = (normed: Value): Value => {
    const logits = fusedMatmul(normed, weights.get(config.tiedHead ? embedding : "lm_head.weight"), { transB: true })
    return config.logitSoftcap === undefined ? logits : softcap(logits, config.logitSoftcap)
  }
  const forward: TrainingView["forward"] = (tokens, wanted = []) => {
    const [batch, length] = tokens.shape as number[]
    const stops = [...new Set([0, ...wanted, config.layers])].sort((a, b) => a - b)
    const hidden = new Map<number, Value>([[0, embed(tokens)]])
    for (const [i, to] of stops.entries())
      if (i > 0) {
        const from = stops[i - 1]!
        hidden.set(to, layers(hidden.get(from)!, [from, to], { batch: batch!, length: length! }))
      }
    return { logits: head(norm(hidden.get(config.layers)!)), hidden }
  }
  const over = (other: TrainingWeights) => viewOf({ ...context, weights: other }, layer, options)
  const own = { embed, layers, norm, head, forward }
  return { ...own, with: (beside: Beside) => over(weights.with(beside)), unchanged: () => over(weights.unchanged()) }
}

function llamaLayer(context: AttentionContext, layer: number, x: Value, rows: Rows): Value {
  const { config, weights } = context
  const prefix = `model.layers.${layer}`
  const normed = (y: Value, name: string) => rmsNorm(y, weights.get(`${prefix}.${name}.weight`), config.normEpsilon)
  const attended = trainingAttention(context, layer, normed(x, "input_layernorm"), rows)
  const middle = add(x, weights.linear(attended, `${prefix}.self_attn.o_proj`))
  const inner = normed(middle, "post_attention_layernorm")
  const gate = activate(weights.linear(inner, `${prefix}.mlp.gate_proj`), config.activation)
  const raised = multiply(gate, weights.linear(inner, `${prefix}.mlp.up_proj`))
  return add(middle, weights.linear(raised, `${prefix}.mlp.down_proj`))
}
