/** GPT-2: learned positions, LayerNorm with biases, one fused projection, plain feed-forward. */
import { attention } from "../attention.ts"
import { activate } from "../mlp.ts"
import type { Family } from "./family.ts"

export const gpt2: Family = {
  name: "gpt2",
  embedding: "transformer.wte",
  positions: "transformer.wpe",
  head: "lm_head",
  layer(b, index, x, tap) {
    const layer = `transformer.h.${index}`
    const entry = b.addLayerNorm(x, `${layer}.ln_1`)
    tap(entry.sum)
    const attended = attention(b, index, b.outlierLinear(`${layer}.attn.c_attn`)(entry.normed))
    const middle = b.addLayerNorm(
      { base: entry.sum, delta: b.linear(`${layer}.attn.c_proj`)(attended) },
      `${layer}.ln_2`,
    )
    const inner = activate(b.linear(`${layer}.mlp.c_fc`)(middle.normed), b.config.activation)
    return { base: middle.sum, delta: b.linear(`${layer}.mlp.c_proj`)(inner) }
  },
  finalNorm: (b, x) => b.addLayerNorm(x, "transformer.ln_f"),
}
