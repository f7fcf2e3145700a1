/** Gemma 2 and 3: four norms a layer, weights stored minus one; gemma3 adds q/k norms (settings say so). */
import { rmsNorm, type Value } from "../../graph/index.ts"
import { attention } from "../attention.ts"
import type { ModelBuilder } from "../builder.ts"
import { gatedMlp } from "../mlp.ts"
import type { Family } from "./family.ts"
import { llamaLike, queryKeyNorms } from "./llama.ts"

export function gemmaLike(name: string): Family {
  const normed = (b: ModelBuilder, x: Value, weight: string) => rmsNorm(x, b.vector(weight, 1), b.config.normEpsilon)
  return {
    ...llamaLike(name),
    layer(b, index, x, tap) {
      const layer = `model.layers.${index}`
      const entry = b.addNorm(x, `${layer}.input_layernorm.weight`, 1)
      tap(entry.sum)
      const qkv = b.outlierLinear(`${layer}.self_attn.q_proj`, `${layer}.self_attn.k_proj`, `${layer}.self_attn.v_proj`)
      const heads = attention(b, index, qkv(entry.normed), queryKeyNorms(b, layer, 1))
      const attended = normed(
        b,
        b.linear(`${layer}.self_attn.o_proj`)(heads),
        `${layer}.post_attention_layernorm.weight`,
      )
      const middle = b.addNorm({ base: entry.sum, delta: attended }, `${layer}.pre_feedforward_layernorm.weight`, 1)
      const gateUp = b.linear(`${layer}.mlp.gate_proj`, `${layer}.mlp.up_proj`)
      const fed = gatedMlp(b, middle.normed, gateUp, b.linear(`${layer}.mlp.down_proj`))
      return { base: middle.sum, delta: normed(b, fed, `${layer}.post_feedforward_layernorm.weight`) }
    },
    finalNorm: (b, x) => b.addNorm(x, "model.norm.weight", 1),
  }
}
