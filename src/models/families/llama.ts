/** Llama, and the families that differ from it only in settings: mistral (sliding window), qwen2 (biases), qwen3 (q/k norms). */
import { attention } from "../attention.ts"
import type { ModelBuilder } from "../builder.ts"
import { gatedMlp } from "../mlp.ts"
import type { Family } from "./family.ts"

export function queryKeyNorms(b: ModelBuilder, layer: string, offset = 0) {
  if (!b.config.queryKeyNorm) return undefined
  return {
    query: b.vector(`${layer}.self_attn.q_norm.weight`, offset),
    key: b.vector(`${layer}.self_attn.k_norm.weight`, offset),
  }
}

export function llamaLike(name: string): Family {
  return {
    name,
    embedding: "model.embed_tokens",
    head: "lm_head",
    layer(b, index, x, tap) {
      const layer = `model.layers.${index}`
      const qkv = b.outlierLinear(`${layer}.self_attn.q_proj`, `${layer}.self_attn.k_proj`, `${layer}.self_attn.v_proj`)
      const output = b.linear(`${layer}.self_attn.o_proj`)
      const gateUp = b.linear(`${layer}.mlp.gate_proj`, `${layer}.mlp.up_proj`)
      const down = b.linear(`${layer}.mlp.down_proj`)

      const { sum, normed } = b.addNorm(x, `${layer}.input_layernorm.weight`)
      tap(sum)
      const attended = output(attention(b, index, qkv(normed), queryKeyNorms(b, layer)))
      const middle = b.addNorm({ base: sum, delta: attended }, `${layer}.post_attention_layernorm.weight`)
      return { base: middle.sum, delta: gatedMlp(b, middle.normed, gateUp, down) }
    },
    finalNorm: (b, x) => b.addNorm(x, "model.norm.weight"),
  }
}
