/** Phi-3: llama with its projections already fused in the checkpoint. */
import { attention } from "../attention.ts"
import { gatedMlp } from "../mlp.ts"
import type { Family } from "./family.ts"
import { llamaLike } from "./llama.ts"

export const phi3: Family = {
  ...llamaLike("phi3"),
  layer(b, index, x, tap) {
    const layer = `model.layers.${index}`
    const { sum, normed } = b.addNorm(x, `${layer}.input_layernorm.weight`)
    tap(sum)
    const qkv = b.outlierLinear(`${layer}.self_attn.qkv_proj`)(normed)
    const attended = b.linear(`${layer}.self_attn.o_proj`)(attention(b, index, qkv))
    const middle = b.addNorm({ base: sum, delta: attended }, `${layer}.post_attention_layernorm.weight`)
    const gateUp = b.linear(`${layer}.mlp.gate_up_proj`)
    return { base: middle.sum, delta: gatedMlp(b, middle.normed, gateUp, b.linear(`${layer}.mlp.down_proj`)) }
  },
}
