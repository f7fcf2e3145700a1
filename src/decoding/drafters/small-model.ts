/**
 * A small llama that drafts: it reads the target's embeddings through a projection and knows a part of the target's
 * vocabulary. Its sizes follow from the shapes of its tensors.
 */
import { ForerunError } from "../../base/errors.ts"
import { buildModel } from "../../models/build-model.ts"
import type { ModelConfig } from "../../models/config.ts"
import { expectedTensors } from "../../models/files/validate-weights.ts"
import { linearFormats } from "../../models/formats.ts"
import type { PartTensor } from "../../models/trained-part.ts"
import type { TensorInfo, WeightSource } from "../../models/weights.ts"
import type { GraphRunner } from "../../runtime/graph-runner.ts"
import { SessionRunner } from "../../runtime/model-runner.ts"
import type { ForwardPass, ForwardResult, Matrix, ModelRunner, TopLogits } from "../../runtime/pass.ts"
import type { HostTensor, HostType, Session } from "../../runtime/session.ts"
import { type PartContext, partTensor } from "../method-part.ts"

export interface SmallModelSizes {
  readonly layers: number
  readonly hidden: number
  readonly kvHeads: number
  readonly intermediate: number
  /** Tokens that it can draft. */
  readonly vocabulary: number
}

/** The same for all, so that shapes say the rest. */
export const smallHeadSize = 32
/** A position sees this many, itself included: no more were in a window of its training. */
export const smallWindow = 128

/** Names in a part: the model's own canonical ones after this. */
export const smallPrefix = "draft."
/** [hidden, target's hidden], and the ids that its logits are for, ascending: float32 [vocabulary]. */
export const projectionName = `${smallPrefix}projection`
export const vocabularyName = "vocabulary"

export function smallModelConfig(
  sizes: SmallModelSizes,
  target: Pick<ModelConfig, "context" | "eosTokens">,
): ModelConfig {
  const { layers } = sizes
  const rope = { base: 10_000, dimensions: smallHeadSize }
  return {
    ...sizes,
    family: "llama",
    heads: sizes.hidden / smallHeadSize,
    headSize: smallHeadSize,
    context: target.context,
    normEpsilon: 1e-5,
    activation: "silu",
    queryScale: smallHeadSize ** -0.5,
    embeddingScale: 1,
    tiedHead: false,
    attentionBias: { qkv: false, output: false },
    mlpBias: false,
    queryKeyNorm: false,
    layer: Array.from({ length: layers }, () => ({ rope, slidingWindow: smallWindow })),
    eosTokens: target.eosTokens,
  }
}

/** The model's tensors with their shapes, by canonical name: all but the embeddings, which are the target's. */
export function smallModelShapes(config: ModelConfig): Map<string, readonly number[]> {
  const shapes = expectedTensors(config)
  shapes.delete("model.embed_tokens.weight")
  return shapes
}

export type SmallModelContext = Pick<PartContext, "tensors" | "openGraph"> & {
  readonly target: Pick<PartContext["target"], "config" | "embed">
}

/** Whether a part brings a small model, or only what goes with one. */
export const hasSmallModel = ({ tensors }: Pick<PartContext, "tensors">): boolean => tensors.has(projectionName)

export interface OpenedSmallModel {
  /** Its logits are over the target's vocabulary; what it does not know has none (−∞). */
  readonly runner: ModelRunner
  dispose(): Promise<void>
}

/** @throws E_MODEL_FORMAT naming the tensor that is missing or of another shape */
export async function openSmallModel(context: SmallModelContext): Promise<OpenedSmallModel> {
  const { tensors, target } = context
  const wide = target.config.vocabulary
  const projection = partTensor(context, projectionName, [-1, target.config.hidden])
  const ids = vocabularyOf(partTensor(context, vocabularyName, [-1]).values, wide)
  const config = smallModelConfig(sizesOf(context, projection.shape[0]!, ids.length), target.config)
  const model = buildModel(config, weightsOf(context, config), {
    ...{ steerable: false, merged: false },
    format: linearFormats.q8,
  })
  const session = sessionOver(await context.openGraph(model.graph))
  const { ropeTables, windows, steerable, merged } = model
  // Tokens come from the whole vocabulary; the rows of logits are as long as the part of it, until they are spread.
  const facts = { config: { ...config, vocabulary: wide }, ropeTables, windows, steerable, merged }
  const inner = new SessionRunner({ facts, session, embed: projected(target.embed, projection) })
  return {
    runner: {
      config: inner.config,
      abilities: inner.abilities,
      ledger: inner.ledger,
      openCache: () => inner.openCache(),
      forward: async (pass: ForwardPass) => spread(await inner.forward(pass), ids, wide),
    },
    dispose: () => inner.dispose(),
  }

  function sizesOf(from: SmallModelContext, hidden: number, vocabulary: number): SmallModelSizes {
    if (hidden % smallHeadSize !== 0 || hidden === 0)
      throw new ForerunError("E_MODEL_FORMAT", `a small model ${hidden} wide: needs a multiple of ${smallHeadSize}`)
    let layers = 0
    while (tensors.has(`${smallPrefix}model.layers.${layers}.input_layernorm.weight`)) layers++
    const first = (name: string) =>
      partTensor(from, `${smallPrefix}model.layers.0.${name}.weight`, [-1, hidden]).shape[0]!
    const kvHeads = first("self_attn.k_proj") / smallHeadSize
    return { layers, hidden, kvHeads, intermediate: first("mlp.gate_proj"), vocabulary }
  }
}

function vocabularyOf(values: Float32Array, wide: number): Int32Array {
  const ids = Int32Array.from(values)
  for (let i = 0; i < ids.length; i++)
    if (ids[i] !== values[i] || ids[i]! < 0 || ids[i]! >= wide || (i > 0 && ids[i]! <= ids[i - 1]!))
      throw new ForerunError(
        "E_MODEL_FORMAT",
        `a draft vocabulary of ascending ids below ${wide}: found ${values[i]} at place ${i}`,
      )
  return ids
}

/** The part's tensors as the weights of a model, every one of the shape that its place needs. */
function weightsOf(context: SmallModelContext, config: ModelConfig): WeightSource {
  const found = new Map<string, PartTensor>()
  for (const [name, shape] of smallModelShapes(config)) {
    found.set(name, partTensor(context, `${smallPrefix}${name}`, shape))
  }
  const float32 = (name: string) => found.get(name)!.values
  const infos = [...found].map(([name, { shape, values }]): [string, TensorInfo] => [
    name,
    { name, shape, type: "F32", bytes: values.byteLength },
  ])
  return {
    tensors: new Map(infos),
    float32,
    raw(name) {
      const { buffer, byteOffset, byteLength } = float32(name)
      return new Uint8Array(buffer, byteOffset, byteLength)
    },
    close() {},
  }
}

type TargetEmbed = SmallModelContext["target"]["embed"]

/** Rows of the target's table through the projection; each token's row is made once. */
export function projected(embed: TargetEmbed, { shape, values }: PartTensor): (tokens: Int32Array) => Float32Array {
  const [hidden, width] = [shape[0]!, shape[1]!]
  const known = new Map<number, Float32Array>()
  const rowOf = (token: number): Float32Array => {
    const there = known.get(token)
    if (there) return there
    const x = tokenRows(embed, Int32Array.of(token))
    const row = new Float32Array(hidden)
    for (let i = 0; i < hidden; i++) {
      let sum = 0
      for (let j = 0; j < width; j++) sum += values[i * width + j]! * x[j]!
      row[i] = sum
    }
    known.set(token, row)
    return row
  }
  return (tokens) => {
    const rows = new Float32Array(tokens.length * hidden)
    for (let i = 0; i < tokens.length; i++) rows.set(rowOf(tokens[i]!), i * hidden)
    return rows
  }
}

/** The target's embeddings as a small model takes them: of tokens alone, wherever they stand. [tokens · hidden] */
export const tokenRows = (embed: TargetEmbed, tokens: Int32Array): Float32Array =>
  embed(tokens, new Int32Array(tokens.length))

function spread(result: ForwardResult, ids: Int32Array, wide: number): ForwardResult {
  const { logits, top, ...rest } = result
  return {
    ...rest,
    ...(logits ? { logits: spreadLogits(logits, ids, wide) } : {}),
    ...(top ? { top: { ...top, ids: top.ids.map((i) => ids[i]!) } satisfies TopLogits } : {}),
  }
}

function spreadLogits({ data, rows }: Matrix, ids: Int32Array, wide: number): Matrix {
  const spreadData = new Float32Array(rows * wide).fill(Number.NEGATIVE_INFINITY)
  for (let row = 0; row < rows; row++)
    for (let i = 0; i < ids.length; i++) spreadData[row * wide + ids[i]!] = data[row * ids.length + i]!
  return { data: spreadData, rows, columns: wide }
}

/** A graph's runner as the session of a model runner. */
function sessionOver(graph: GraphRunner): Session {
  type Fed = HostTensor & { readonly type: HostType }
  return {
    tensor: (type, data, dims): Fed => ({ type, data, dims }),
    run(feeds, fetches) {
      const fed = Object.entries(feeds as Record<string, Fed>).map(
        ([name, { type, data, dims }]) => [name, { type, data, shape: dims }] as const,
      )
      return graph.run(Object.fromEntries(fed), fetches)
    },
    release: () => graph.dispose(),
  }
}
