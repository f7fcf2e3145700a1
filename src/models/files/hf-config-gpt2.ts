/** gpt2's config.json, whose keys are its own. */

import type { ModelConfig } from "../config.ts"
import { activationOf } from "./activation.ts"
import { type Fields, LIMITS } from "./fields.ts"
import { configError, unsupportedError } from "./format-error.ts"

/** @throws ForerunError E_CONFIG, E_MODEL_UNSUPPORTED */
export function gpt2Config(config: Fields): Omit<ModelConfig, "eosTokens"> {
  const layers = config.integer("n_layer", LIMITS.layers)
  const hidden = config.integer("n_embd", LIMITS.width)
  const heads = config.integer("n_head", LIMITS.heads)
  if (hidden % heads !== 0) throw configError(`n_embd ${hidden} is not a multiple of n_head ${heads}`)
  if (!config.boolean("scale_attn_weights", true)) throw unsupportedError("scale_attn_weights false is not supported")
  if (config.boolean("scale_attn_by_inverse_layer_idx", false))
    throw unsupportedError("scale_attn_by_inverse_layer_idx is not supported")
  if (config.boolean("add_cross_attention", false)) throw unsupportedError("add_cross_attention is not supported")
  const headSize = hidden / heads
  return {
    family: "gpt2",
    layers,
    hidden,
    heads,
    kvHeads: heads,
    headSize,
    intermediate: config.integer("n_inner", LIMITS.width, 4 * hidden),
    vocabulary: config.integer("vocab_size", LIMITS.vocabulary),
    context: config.integer("n_positions", LIMITS.context, 1024),
    normEpsilon: config.number("layer_norm_epsilon", LIMITS.epsilon, 1e-5),
    activation: activationOf(config.text("activation_function", "gelu_new")),
    queryScale: 1 / Math.sqrt(headSize),
    embeddingScale: 1,
    tiedHead: config.boolean("tie_word_embeddings", true),
    attentionBias: { qkv: true, output: true },
    mlpBias: true,
    queryKeyNorm: false,
    layer: Array.from({ length: layers }, () => ({})),
  }
}
