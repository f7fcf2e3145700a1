/** A tiny language model that a recipe trains from random weights: its settings, its parameters, its graph. */
import { ForerunError } from "../../base/errors.ts"
import type { OptionTable, OptionValues } from "../../decoding/method.ts"
import type { Graph, Value } from "../../graph/index.ts"
import type { ModelConfig } from "../../models/config.ts"
import { configError } from "../../models/files/format-error.ts"
import { configFromHf } from "../../models/files/hf-config.ts"
import { parseJsonObject } from "../../models/files/json.ts"
import { expectedTensors } from "../../models/files/validate-weights.ts"
import { type TrainingView, trainingView } from "../../models/training/view.ts"
import type { TensorInfo, WeightSource } from "../../models/weights.ts"
import type { Parameter } from "../recipe.ts"
import { bell } from "../start-values.ts"

/** The sizes as options of a recipe. */
export const tinyOptions = {
  layers: { type: "integer", default: 3, low: 1, high: 12, description: "layers of the model" },
  hidden: { type: "integer", default: 64, low: 16, high: 512, description: "its hidden size, a multiple of its heads" },
  heads: { type: "integer", default: 4, low: 1, high: 16, description: "its attention heads" },
  intermediate: { type: "integer", default: 128, low: 16, high: 2048, description: "width inside its MLPs" },
} as const satisfies OptionTable

export interface TinyModel {
  readonly config: ModelConfig
  /** config.json */
  readonly files: Readonly<Record<string, string>>
  readonly parameters: readonly Parameter[]
  view(graph: Graph, parameter: (name: string) => Value): TrainingView
}

export interface TinyText {
  readonly vocabulary: number
  /** The token that ends a text. */
  readonly end: number
  /** Longest text in tokens. */
  readonly context: number
}

/** A llama whose embedding is its head too. @param sizes values of `tinyOptions`. @throws E_OPTION for sizes that do not fit */
export function tinyModel(sizes: OptionValues, { vocabulary, end, context }: TinyText): TinyModel {
  const size = (name: keyof typeof tinyOptions) => Number(sizes[name])
  const [hidden, heads] = [size("hidden"), size("heads")]
  if (hidden % (2 * heads) !== 0)
    throw new ForerunError("E_OPTION", `hidden must be an even multiple of heads; found ${hidden} and ${heads}`)
  const settings = {
    architectures: ["LlamaForCausalLM"],
    model_type: "llama",
    vocab_size: vocabulary,
    hidden_size: hidden,
    num_hidden_layers: size("layers"),
    num_attention_heads: heads,
    num_key_value_heads: heads,
    intermediate_size: size("intermediate"),
    max_position_embeddings: context,
    rope_theta: 10_000,
    rms_norm_eps: 1e-5,
    tie_word_embeddings: true,
    eos_token_id: end,
  }
  const text = `${JSON.stringify(settings, undefined, 2)}\n`
  const config = configFromHf(parseJsonObject(text, "config.json", configError), "config.json")
  const shapes = expectedTensors(config)
  return {
    config,
    files: { "config.json": text },
    parameters: [...shapes].map(([name, shape]) => startingAt(name, shape, config)),
    view: (graph, parameter) =>
      trainingView(graph, { config, weights: shapesOnly(shapes), adapt: ({ name }) => parameter(name) }),
  }
}

/** What is added to the residual stream begins smaller the more layers add to it. */
function startingAt(name: string, shape: readonly number[], { layers, hidden }: ModelConfig): Parameter {
  const count = shape.reduce((product, dim) => product * dim, 1)
  if (shape.length === 1) return { name, shape, initial: () => new Float32Array(count).fill(1) }
  const added = /(o_proj|down_proj)\.weight$/.test(name) ? 1 / Math.sqrt(2 * layers) : 1
  const inputs = name.includes("embed_tokens") ? hidden : shape[1]!
  return { name, shape, initial: (random) => bell(random, count, added / Math.sqrt(inputs)) }
}

/** Every weight is a parameter, so that only shapes are asked for. */
function shapesOnly(shapes: ReadonlyMap<string, readonly number[]>): WeightSource {
  const none = (name: string): never => {
    throw new ForerunError("E_INTERNAL", `${name} is trained and has no stored values`)
  }
  const infos = [...shapes].map(([name, shape]): [string, TensorInfo] => [name, { name, shape, type: "F32", bytes: 0 }])
  return { tensors: new Map(infos), raw: none, float32: none, close() {} }
}
