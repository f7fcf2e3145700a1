/** GGUF metadata to ModelConfig. What llama.cpp hard-codes per architecture is written out here. */

import type { Activation, LayerConfig, ModelConfig, RopeConfig } from "../config.ts"
import { type Fields, fieldsOf, LIMITS } from "./fields.ts"
import { configError, unsupportedError } from "./format-error.ts"
import type { GgufHeader, GgufValue } from "./gguf-header.ts"
import { canonicalName, ggufArchitectures, isGgufArchitecture } from "./gguf-names.ts"
import { type FrequencyFactors, ggufRopeScaling } from "./gguf-rope.ts"

/** @throws ForerunError E_CONFIG, E_MODEL_UNSUPPORTED */
export function configFromGguf(header: GgufHeader, path: string, factors: FrequencyFactors): ModelConfig {
  const all = fieldsOf(header.metadata, path)
  const family = ggufArchitecture(header.metadata, path)
  const fields = fieldsOf(ofArchitecture(header.metadata, family), path, `${family}.`)
  const gemma = family === "gemma2" || family === "gemma3"

  const layers = fields.integer("block_count", LIMITS.layers)
  const hidden = fields.integer("embedding_length", LIMITS.width)
  const heads = sameEverywhere(fields, "attention.head_count", layers) ?? missing(fields, "attention.head_count")
  const kvHeads = sameEverywhere(fields, "attention.head_count_kv", layers) ?? heads
  if (heads % kvHeads !== 0)
    throw configError(`${path}: ${heads} attention heads cannot share ${kvHeads} key/value heads evenly`)
  const headSize = headSizeOf(fields, path, hidden, heads)
  const present = presentParts(header, family)
  const context = fields.integer("context_length", LIMITS.context)
  // gemma2 files older than these keys mean 50 and 30.
  const isGemma2 = family === "gemma2"
  const attentionSoftcap = softcapOf(fields, "attn_logit_softcapping", isGemma2 ? 50 : 0)
  const logitSoftcap = softcapOf(fields, "final_logit_softcapping", isGemma2 ? 30 : 0)
  if (fields.integer("expert_count", { min: 0, max: 1e6 }, 0) > 0)
    throw unsupportedError(`${path}: mixture-of-experts models are not supported (${family}.expert_count)`)

  const token = (name: string) => all.optionalInteger(`tokenizer.ggml.${name}_token_id`, LIMITS.token)
  const bosToken = token("bos")
  const padToken = token("padding")
  const eosTokens = [token("eos"), token("eot"), token("eom")].filter((id) => id !== undefined)
  return {
    family,
    layers,
    hidden,
    heads,
    kvHeads,
    headSize,
    intermediate: sameEverywhere(fields, "feed_forward_length", layers) ?? missing(fields, "feed_forward_length"),
    vocabulary: vocabularyOf(header.metadata, fields),
    context,
    normEpsilon:
      fields.optionalNumber("attention.layer_norm_rms_epsilon", LIMITS.epsilon) ??
      fields.number("attention.layer_norm_epsilon", LIMITS.epsilon),
    activation: activationOf(family),
    queryScale: queryScaleOf(family, { layers, hidden, heads, headSize }),
    embeddingScale: gemma ? Math.sqrt(hidden) : 1,
    ...(isGemma2 && attentionSoftcap !== undefined ? { attentionSoftcap } : {}),
    ...(gemma && logitSoftcap !== undefined ? { logitSoftcap } : {}),
    tiedHead: !header.tensors.has("output.weight"),
    attentionBias: {
      qkv: present.has("attn_q.bias") || present.has("attn_qkv.bias"),
      output: present.has("attn_output.bias"),
    },
    mlpBias: present.has("ffn_down.bias"),
    queryKeyNorm: present.has("attn_q_norm.weight"),
    layer: layersOf(fields, path, { family, layers, headSize, context, factors }),
    ...(bosToken === undefined ? {} : { bosToken }),
    eosTokens: [...new Set(eosTokens)],
    ...(padToken === undefined ? {} : { padToken }),
  }
}

/** The architecture as the file says it. @throws ForerunError E_CONFIG, E_MODEL_UNSUPPORTED */
export function ggufArchitecture(metadata: ReadonlyMap<string, unknown>, path: string): string {
  const all = fieldsOf(metadata, path)
  const architecture = all.text("general.architecture")
  if (!isGgufArchitecture(architecture))
    throw unsupportedError(
      `${path}: the architecture ${JSON.stringify(architecture.slice(0, 80))} is not supported`,
      `Supported in GGUF: ${ggufArchitectures().join(", ")}.`,
    )
  return architecture
}

function ofArchitecture(metadata: ReadonlyMap<string, GgufValue>, family: string): Map<string, GgufValue> {
  const own = new Map<string, GgufValue>()
  for (const [key, value] of metadata) if (key.startsWith(`${family}.`)) own.set(key.slice(family.length + 1), value)
  return own
}

/** A number, or one number a layer, which must then all be the same. */
function sameEverywhere(fields: Fields, key: string, layers: number): number | undefined {
  if (!Array.isArray(fields.value(key))) return fields.optionalInteger(key, LIMITS.width)
  const values = new Set(fields.integers(key, LIMITS.width))
  const [first] = values
  if (values.size !== 1 || first === undefined)
    throw unsupportedError(`${key} differs between the ${layers} layers; only uniform layers are supported`)
  return first
}

function missing(fields: Fields, key: string): number {
  return fields.integer(key, LIMITS.width)
}

function headSizeOf(fields: Fields, path: string, hidden: number, heads: number): number {
  const given = fields.optionalInteger("attention.key_length", LIMITS.headSize)
  const value = fields.optionalInteger("attention.value_length", LIMITS.headSize)
  if (given === undefined && hidden % heads !== 0)
    throw configError(`${path}: hidden size ${hidden} is not a multiple of ${heads} heads and no key_length is given`)
  const headSize = given ?? hidden / heads
  if (value !== undefined && value !== headSize)
    throw unsupportedError(`${path}: keys have size ${headSize}, values ${value}; only equal sizes are supported`)
  return headSize
}

/** Which kinds of tensor the layers have: "attn_q.bias" and so on. */
function presentParts(header: GgufHeader, family: string): Set<string> {
  const parts = new Set<string>()
  for (const name of header.tensors.keys())
    if (name.startsWith("blk.") && canonicalName(family, name) !== undefined) parts.add(name.replace(/^blk\.\d+\./, ""))
  return parts
}

function vocabularyOf(metadata: ReadonlyMap<string, GgufValue>, fields: Fields): number {
  const tokens = metadata.get("tokenizer.ggml.tokens")
  const listed = Array.isArray(tokens) && tokens.length > 0 ? tokens.length : undefined
  return fields.integer("vocab_size", LIMITS.vocabulary, listed)
}

function activationOf(family: string): Activation {
  return family === "gemma2" || family === "gemma3" || family === "gpt2" ? "gelu-tanh" : "silu"
}

// The largest gemmas scale queries by hidden/heads instead of the head size; llama.cpp tells them by their layers.
const LARGEST_GEMMA = new Map([
  ["gemma2", 46],
  ["gemma3", 62],
])

function queryScaleOf(
  family: string,
  { layers, hidden, heads, headSize }: { layers: number; hidden: number; heads: number; headSize: number },
): number {
  return 1 / Math.sqrt(LARGEST_GEMMA.get(family) === layers ? hidden / heads : headSize)
}

interface LayerFacts {
  readonly family: string
  readonly layers: number
  readonly headSize: number
  readonly context: number
  readonly factors: FrequencyFactors
}

function layersOf(fields: Fields, path: string, facts: LayerFacts): LayerConfig[] {
  const { family, layers, headSize, context, factors } = facts
  if (family === "gpt2") return Array.from({ length: layers }, () => ({}))
  const dimensions = fields.integer("rope.dimension_count", LIMITS.headSize, headSize)
  if (dimensions > headSize || dimensions % 2 !== 0)
    throw configError(`${path}: rope.dimension_count ${dimensions} needs to be even and at most ${headSize}`)
  const base = fields.number("rope.freq_base", LIMITS.ropeBase, family === "gemma3" ? 1e6 : 10_000)
  const scaling = ggufRopeScaling(fields, path, { dimensions, context, factors })
  const rope: RopeConfig = { base, dimensions, ...(scaling === undefined ? {} : { scaling }) }
  // gemma3's local layers keep their own unscaled base.
  const local: RopeConfig =
    family === "gemma3" ? { base: fields.number("rope.freq_base_swa", LIMITS.ropeBase, 10_000), dimensions } : rope

  const slidingWindow = windowOf(fields, path, family, context)
  const slides = slidingPattern(fields, path, family, layers)
  return Array.from({ length: layers }, (_, index) =>
    slidingWindow !== undefined && slides(index) ? { slidingWindow, rope: local } : { rope },
  )
}

/** 0 in the file means none. */
function softcapOf(fields: Fields, key: string, fallback: number): number | undefined {
  const found = fields.number(key, { min: 0, max: LIMITS.positive.max }, fallback)
  return found === 0 ? undefined : found
}

function windowOf(fields: Fields, path: string, family: string, context: number): number | undefined {
  const fallback = family === "gemma2" ? 4096 : 0
  const window = fields.integer("attention.sliding_window", { min: 0, max: LIMITS.window.max }, fallback)
  if (family !== "qwen2" && family !== "qwen3") return window === 0 ? undefined : window
  // Which of qwen's layers would slide is not in the file.
  if (window > 0 && window < context)
    throw unsupportedError(`${path}: attention.sliding_window ${window} in family ${family}`)
  return undefined
}

/** Which layers slide: gemma2 every second, gemma3 five of six, else all that have a window. */
function slidingPattern(fields: Fields, path: string, family: string, layers: number): (index: number) => boolean {
  const given = fields.value("attention.sliding_window_pattern")
  if (Array.isArray(given)) {
    if (given.length !== layers || given.some((each) => typeof each !== "boolean"))
      throw configError(
        `${path}: attention.sliding_window_pattern needs ${layers} booleans, found ${given.length} values`,
      )
    return (index) => given[index] === true
  }
  const usual = family === "gemma2" ? 2 : family === "gemma3" ? 6 : 0
  const period = fields.integer("attention.sliding_window_pattern", { min: 0, max: LIMITS.layers.max }, usual)
  return period === 0 ? () => true : (index) => (index + 1) % period !== 0
}
