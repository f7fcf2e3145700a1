/** config.json to ModelConfig. Unsaid values are what transformers assumes for the family. */

import type { LayerConfig, ModelConfig } from "../config.ts"
import { activationOf } from "./activation.ts"
import { type Fields, fieldsOf, LIMITS } from "./fields.ts"
import { configError, unsupportedError } from "./format-error.ts"
import { gpt2Config } from "./hf-config-gpt2.ts"
import { hfRope, type LayerType, type RopeFacts } from "./hf-rope.ts"
import { type JsonObject, kindOf } from "./json.ts"

interface FamilyDefaults {
  readonly family: string
  readonly tiedHead: boolean
  readonly headSize?: number
  readonly kvHeadsAreHeads?: boolean // else the key is required
  readonly window?: number
  readonly context: number
  readonly epsilon: number
}

const QWEN2: FamilyDefaults = { family: "qwen2", tiedHead: false, window: 4096, context: 32_768, epsilon: 1e-6 }
const GEMMA = { tiedHead: true, headSize: 256, window: 4096, epsilon: 1e-6 }
const FAMILIES = new Map<string, FamilyDefaults>([
  ["llama", { family: "llama", tiedHead: false, kvHeadsAreHeads: true, context: 2048, epsilon: 1e-6 }],
  ["mistral", { family: "mistral", tiedHead: false, window: 4096, context: 131_072, epsilon: 1e-6 }],
  ["qwen2", QWEN2],
  ["Dream", QWEN2], // Dream is qwen2 without the causal mask
  ["qwen3", { ...QWEN2, family: "qwen3", headSize: 128 }],
  ["gemma2", { ...GEMMA, family: "gemma2", context: 8192 }],
  ["gemma3_text", { ...GEMMA, family: "gemma3", context: 131_072 }],
  ["phi3", { family: "phi3", tiedHead: false, kvHeadsAreHeads: true, context: 4096, epsilon: 1e-5 }],
])

/** The values of model_type that can be opened. */
export const modelTypes = (): string[] => [...FAMILIES.keys(), "gpt2"]

/**
 * @param json config.json
 * @param generation generation_config.json, which may name more end tokens
 * @throws ForerunError E_CONFIG, E_MODEL_UNSUPPORTED
 */
export function configFromHf(json: JsonObject, where: string, generation?: JsonObject): ModelConfig {
  const config = fieldsOf(json, where)
  const modelType = config.text("model_type")
  if (config.value("quantization_config") !== undefined)
    throw unsupportedError(
      `${where}: quantized safetensors (quantization_config) are not supported`,
      "Use a GGUF file.",
    )
  const tokens = tokensOf(config, generation === undefined ? undefined : fieldsOf(generation, where))
  if (modelType === "gpt2") return { ...gpt2Config(config), ...tokens }
  const defaults = FAMILIES.get(modelType)
  if (defaults === undefined)
    throw unsupportedError(
      `${where}: model_type ${JSON.stringify(modelType.slice(0, 80))} is not supported`,
      `Supported: ${modelTypes().join(", ")}.`,
    )
  return { ...familyConfig(config, where, defaults), ...tokens }
}

function familyConfig(config: Fields, where: string, defaults: FamilyDefaults): Omit<ModelConfig, "eosTokens"> {
  const { family } = defaults
  const isGemma = family === "gemma2" || family === "gemma3"
  const layers = config.integer("num_hidden_layers", LIMITS.layers)
  const hidden = config.integer("hidden_size", LIMITS.width)
  const heads = config.integer("num_attention_heads", LIMITS.heads)
  const assumeHeads = defaults.kvHeadsAreHeads === true || config.has("num_key_value_heads")
  const kvHeads = config.integer("num_key_value_heads", LIMITS.heads, assumeHeads ? heads : undefined)
  if (heads % kvHeads !== 0)
    throw configError(`${where}: ${heads} attention heads cannot share ${kvHeads} key/value heads evenly`)
  const headSize = headSizeOf(config, where, { hidden, heads, fallback: defaults.headSize })
  const context = config.integer("max_position_embeddings", LIMITS.context, defaults.context)
  if (config.value("use_bidirectional_attention") === true)
    throw unsupportedError(`${where}: use_bidirectional_attention is not supported`)

  const softcap = (key: string, fallback: number) =>
    config.has(key) ? config.optionalNumber(key, LIMITS.positive) : fallback
  const attentionSoftcap = family === "gemma2" ? softcap("attn_logit_softcapping", 50) : gemma3Softcap(config, where)
  const logitSoftcap =
    family === "gemma2"
      ? softcap("final_logit_softcapping", 30)
      : isGemma
        ? config.optionalNumber("final_logit_softcapping", LIMITS.positive)
        : undefined
  const hasBias = family !== "mistral" && family !== "phi3" && config.boolean("attention_bias", false)
  return {
    family,
    layers,
    hidden,
    heads,
    kvHeads,
    headSize,
    intermediate: config.integer("intermediate_size", LIMITS.width),
    vocabulary: config.integer("vocab_size", LIMITS.vocabulary),
    context,
    normEpsilon: config.number("rms_norm_eps", LIMITS.epsilon, defaults.epsilon),
    activation: activationOf(
      isGemma ? config.text("hidden_activation", "gelu_pytorch_tanh") : config.text("hidden_act", "silu"),
    ),
    queryScale: 1 / Math.sqrt(isGemma ? config.number("query_pre_attn_scalar", LIMITS.positive, 256) : headSize),
    embeddingScale: isGemma ? Math.sqrt(hidden) : 1,
    ...(attentionSoftcap === undefined ? {} : { attentionSoftcap }),
    ...(logitSoftcap === undefined ? {} : { logitSoftcap }),
    tiedHead: config.boolean("tie_word_embeddings", defaults.tiedHead),
    // qwen2 fixes biases on Q, K and V and none on the output; the others have one switch for all four.
    attentionBias: family === "qwen2" ? { qkv: true, output: false } : { qkv: hasBias, output: hasBias },
    mlpBias: family === "llama" && config.boolean("mlp_bias", false),
    queryKeyNorm: family === "qwen3" || family === "gemma3",
    layer: layersOf(config, where, defaults, layers, { family, headSize, context }),
  }
}

/** transformers reads gemma3's attention soft cap and never uses it; a file that sets one expects something else. */
function gemma3Softcap(config: Fields, where: string): undefined {
  if (config.value("attn_logit_softcapping") !== undefined)
    throw unsupportedError(`${where}: attn_logit_softcapping is only supported in gemma2`)
}

function headSizeOf(
  config: Fields,
  where: string,
  facts: { hidden: number; heads: number; fallback: number | undefined },
): number {
  const { hidden, heads, fallback } = facts
  const given = config.optionalInteger("head_dim", LIMITS.headSize) ?? fallback
  if (given === undefined && hidden % heads !== 0)
    throw configError(`${where}: hidden_size ${hidden} is not a multiple of ${heads} heads and no head_dim is given`)
  return given ?? hidden / heads
}

function layersOf(
  config: Fields,
  where: string,
  defaults: FamilyDefaults,
  layers: number,
  facts: RopeFacts,
): LayerConfig[] {
  const types = layerTypesOf(config, where, defaults.family, layers)
  const slidingWindow = windowOf(config, defaults)
  const full: LayerConfig = { rope: hfRope(config, "full_attention", facts) }
  if (!types.includes("sliding_attention")) return types.map(() => full)
  if (slidingWindow === undefined)
    throw configError(`${where}: some layers are sliding_attention, but there is no sliding_window`)
  const sliding: LayerConfig = { slidingWindow, rope: hfRope(config, "sliding_attention", facts) }
  return types.map((type) => (type === "sliding_attention" ? sliding : full))
}

function windowOf(config: Fields, { family, window }: FamilyDefaults): number | undefined {
  const isQwen = family === "qwen2" || family === "qwen3"
  if (family === "llama" || (isQwen && !config.boolean("use_sliding_window", false))) return undefined
  // null means none; only a key that is not there has the default.
  return config.optionalInteger("sliding_window", LIMITS.window) ?? (config.has("sliding_window") ? undefined : window)
}

function layerTypesOf(config: Fields, where: string, family: string, layers: number): LayerType[] {
  const given = config.value("layer_types")
  const isAlternating = family !== "llama" && family !== "mistral" && family !== "phi3"
  if (given !== undefined && isAlternating) return givenLayerTypes(given, where, layers)

  const hasWindow = windowOf(config, FAMILIES.get(family === "gemma3" ? "gemma3_text" : family)!) !== undefined
  const from = config.integer("max_window_layers", { min: 0, max: LIMITS.layers.max }, 28)
  const pattern = config.optionalInteger("sliding_window_pattern", LIMITS.layers)
  const period = pattern ?? config.integer("_sliding_window_pattern", LIMITS.layers, 6)
  const slides = (index: number): boolean => {
    if (family === "gemma2") return index % 2 === 0
    if (family === "gemma3") return (index + 1) % period !== 0
    return hasWindow && (family === "qwen2" || family === "qwen3" ? index >= from : true)
  }
  return Array.from({ length: layers }, (_, index) => (slides(index) ? "sliding_attention" : "full_attention"))
}

function givenLayerTypes(given: unknown, where: string, layers: number): LayerType[] {
  if (!Array.isArray(given) || given.length !== layers)
    throw configError(`${where}: layer_types needs ${layers} entries, one a layer, found ${kindOf(given)}`)
  return given.map((type) => {
    if (type === "full_attention" || type === "sliding_attention") return type
    throw unsupportedError(`${where}: layer_types has ${kindOf(type)}; needed full_attention or sliding_attention`)
  })
}

function tokensOf(
  config: Fields,
  generation: Fields | undefined,
): Pick<ModelConfig, "bosToken" | "eosTokens" | "padToken"> {
  const ends = (fields: Fields | undefined): number[] => {
    if (fields?.value("eos_token_id") === undefined) return []
    if (Array.isArray(fields.value("eos_token_id"))) return fields.integers("eos_token_id", LIMITS.token)
    return [fields.integer("eos_token_id", LIMITS.token)]
  }
  const bosToken = config.optionalInteger("bos_token_id", LIMITS.token)
  const padToken = optionalPad(config)
  return {
    ...(bosToken === undefined ? {} : { bosToken }),
    eosTokens: [...new Set([...ends(config), ...ends(generation)])],
    ...(padToken === undefined ? {} : { padToken }),
  }
}

/** Some files write -1 for "no padding token". */
function optionalPad(config: Fields): number | undefined {
  return config.value("pad_token_id") === -1 ? undefined : config.optionalInteger("pad_token_id", LIMITS.token)
}
