/** Cross-checks a checkpoint's tensors against its settings, before anything large is read. */

import type { ModelConfig } from "../config.ts"
import type { WeightSource } from "../weights.ts"
import { canDequantise } from "./dequantise.ts"
import { formatError, unsupportedError } from "./format-error.ts"

type Shape = readonly number[]

/**
 * Every tensor a model of this config needs, with its canonical shape.
 * Families: llama, mistral, qwen2, qwen3, gemma2, gemma3, phi3, gpt2.
 */
export function expectedTensors(config: ModelConfig): Map<string, Shape> {
  return config.family === "gpt2" ? expectedGpt2(config) : expectedLlamaLike(config)
}

/** @throws ForerunError E_MODEL_FORMAT naming the tensor, the shape needed and the shape found; E_MODEL_UNSUPPORTED */
export function validateWeights(config: ModelConfig, weights: WeightSource): void {
  for (const [name, shape] of expectedTensors(config)) {
    const found = weights.tensors.get(name)
    if (found === undefined)
      throw formatError(`tensor ${name} [${shape.join(", ")}] is needed, but the checkpoint has none`)
    if (found.shape.length !== shape.length || found.shape.some((size, axis) => size !== shape[axis]))
      throw formatError(`tensor ${name} needs shape [${shape.join(", ")}], found [${found.shape.join(", ")}]`)
    if (!canDequantise(found.type))
      throw unsupportedError(`tensor ${name} has type ${found.type}, which cannot be used as weights`)
  }
}

function expectedLlamaLike(config: ModelConfig): Map<string, Shape> {
  const { hidden, intermediate, vocabulary, headSize, layers, family } = config
  const query = config.heads * headSize
  const keyValue = config.kvHeads * headSize
  const expected = new Map<string, Shape>()
  expected.set("model.embed_tokens.weight", [vocabulary, hidden])
  expected.set("model.norm.weight", [hidden])
  if (!config.tiedHead) expected.set("lm_head.weight", [vocabulary, hidden])

  for (let index = 0; index < layers; index++) {
    const layer = `model.layers.${index}`
    const linear = (name: string, out: number, from: number, bias: boolean) => {
      expected.set(`${layer}.${name}.weight`, [out, from])
      if (bias) expected.set(`${layer}.${name}.bias`, [out])
    }
    const norm = (name: string, size: number) => expected.set(`${layer}.${name}.weight`, [size])

    if (family === "phi3") {
      linear("self_attn.qkv_proj", query + 2 * keyValue, hidden, config.attentionBias.qkv)
      linear("mlp.gate_up_proj", 2 * intermediate, hidden, config.mlpBias)
    } else {
      linear("self_attn.q_proj", query, hidden, config.attentionBias.qkv)
      linear("self_attn.k_proj", keyValue, hidden, config.attentionBias.qkv)
      linear("self_attn.v_proj", keyValue, hidden, config.attentionBias.qkv)
      linear("mlp.gate_proj", intermediate, hidden, config.mlpBias)
      linear("mlp.up_proj", intermediate, hidden, config.mlpBias)
    }
    linear("self_attn.o_proj", hidden, query, config.attentionBias.output)
    linear("mlp.down_proj", hidden, intermediate, config.mlpBias)
    if (config.queryKeyNorm) {
      norm("self_attn.q_norm", headSize)
      norm("self_attn.k_norm", headSize)
    }
    norm("input_layernorm", hidden)
    norm("post_attention_layernorm", hidden)
    if (family === "gemma2" || family === "gemma3") {
      norm("pre_feedforward_layernorm", hidden)
      norm("post_feedforward_layernorm", hidden)
    }
  }
  return expected
}

function expectedGpt2(config: ModelConfig): Map<string, Shape> {
  const { hidden, intermediate, vocabulary, context, layers } = config
  const expected = new Map<string, Shape>()
  const both = (name: string, shape: Shape) => {
    expected.set(`${name}.weight`, shape)
    expected.set(`${name}.bias`, [shape[0]!])
  }
  expected.set("transformer.wte.weight", [vocabulary, hidden])
  expected.set("transformer.wpe.weight", [context, hidden])
  both("transformer.ln_f", [hidden])
  if (!config.tiedHead) expected.set("lm_head.weight", [vocabulary, hidden])
  for (let index = 0; index < layers; index++) {
    const layer = `transformer.h.${index}`
    both(`${layer}.ln_1`, [hidden])
    both(`${layer}.attn.c_attn`, [3 * hidden, hidden])
    both(`${layer}.attn.c_proj`, [hidden, hidden])
    both(`${layer}.ln_2`, [hidden])
    both(`${layer}.mlp.c_fc`, [intermediate, hidden])
    both(`${layer}.mlp.c_proj`, [hidden, intermediate])
  }
  return expected
}
