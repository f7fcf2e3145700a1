/** GGUF tensor names to Hugging Face's, by architecture. */

const SHARED = { token_embd: "model.embed_tokens", output_norm: "model.norm", output: "lm_head" }
const ATTENTION = {
  attn_norm: "input_layernorm",
  attn_q: "self_attn.q_proj",
  attn_k: "self_attn.k_proj",
  attn_v: "self_attn.v_proj",
  attn_q_norm: "self_attn.q_norm",
  attn_k_norm: "self_attn.k_norm",
  attn_output: "self_attn.o_proj",
}
const MLP = { ffn_gate: "mlp.gate_proj", ffn_up: "mlp.up_proj", ffn_down: "mlp.down_proj" }

interface Naming {
  readonly whole: ReadonlyMap<string, string>
  readonly layer: ReadonlyMap<string, string>
  readonly layerPrefix: string
}
const naming = (whole: Record<string, string>, layerPrefix: string, layer: Record<string, string>): Naming => ({
  whole: new Map(Object.entries(whole)),
  layer: new Map(Object.entries(layer)),
  layerPrefix,
})

const LLAMA = naming(SHARED, "model.layers", { ...ATTENTION, ...MLP, ffn_norm: "post_attention_layernorm" })
const GEMMA = naming(SHARED, "model.layers", {
  ...ATTENTION,
  ...MLP,
  post_attention_norm: "post_attention_layernorm",
  ffn_norm: "pre_feedforward_layernorm",
  post_ffw_norm: "post_feedforward_layernorm",
})
const NAMINGS = new Map<string, Naming>([
  ["llama", LLAMA],
  ["qwen2", LLAMA],
  ["qwen3", LLAMA],
  ["gemma2", GEMMA],
  ["gemma3", GEMMA],
  [
    "phi3",
    naming(SHARED, "model.layers", {
      attn_norm: "input_layernorm",
      attn_qkv: "self_attn.qkv_proj",
      attn_output: "self_attn.o_proj",
      ffn_norm: "post_attention_layernorm",
      ffn_up: "mlp.gate_up_proj",
      ffn_down: "mlp.down_proj",
    }),
  ],
  [
    "gpt2",
    naming(
      {
        token_embd: "transformer.wte",
        position_embd: "transformer.wpe",
        output_norm: "transformer.ln_f",
        output: "lm_head",
      },
      "transformer.h",
      {
        attn_norm: "ln_1",
        attn_qkv: "attn.c_attn",
        attn_output: "attn.c_proj",
        ffn_norm: "ln_2",
        ffn_up: "mlp.c_fc",
        ffn_down: "mlp.c_proj",
      },
    ),
  ],
])

export const isGgufArchitecture = (architecture: string): boolean => NAMINGS.has(architecture)
export const ggufArchitectures = (): string[] => [...NAMINGS.keys()]

/** The canonical name, undefined for tensors that are not weights of the architecture (rope_freqs.weight, …). */
export function canonicalName(architecture: string, name: string): string | undefined {
  const { whole, layer, layerPrefix } = NAMINGS.get(architecture)!
  const [, index, part, kind] = /^(?:blk\.(0|[1-9]\d{0,4})\.)?([a-z0-9_]+)\.(weight|bias)$/.exec(name) ?? []
  if (part === undefined) return undefined
  const mapped = (index === undefined ? whole : layer).get(part)
  if (mapped === undefined) return undefined
  return index === undefined ? `${mapped}.${kind}` : `${layerPrefix}.${Number(index)}.${mapped}.${kind}`
}
