/** Small honest models that the mutants start from. */

import { F32_ID, f32, type TestGguf, type TestTensor, text, texts, u32 } from "../../src/models/files/test-gguf.ts"
import type { TestEntry } from "../../src/models/files/test-safetensors.ts"

const HIDDEN = 8
const MLP = 12
const VOCABULARY = 10
const KEY_VALUE = 4

const values = (count: number): Uint8Array =>
  new Uint8Array(Float32Array.from({ length: count }, (_, i) => i / 64).buffer)

const SHAPES: readonly (readonly [gguf: string, hf: string, shape: readonly number[]])[] = [
  ["token_embd", "model.embed_tokens", [VOCABULARY, HIDDEN]],
  ["output_norm", "model.norm", [HIDDEN]],
  ["blk.0.attn_norm", "model.layers.0.input_layernorm", [HIDDEN]],
  ["blk.0.attn_q", "model.layers.0.self_attn.q_proj", [HIDDEN, HIDDEN]],
  ["blk.0.attn_k", "model.layers.0.self_attn.k_proj", [KEY_VALUE, HIDDEN]],
  ["blk.0.attn_v", "model.layers.0.self_attn.v_proj", [KEY_VALUE, HIDDEN]],
  ["blk.0.attn_output", "model.layers.0.self_attn.o_proj", [HIDDEN, HIDDEN]],
  ["blk.0.ffn_norm", "model.layers.0.post_attention_layernorm", [HIDDEN]],
  ["blk.0.ffn_gate", "model.layers.0.mlp.gate_proj", [MLP, HIDDEN]],
  ["blk.0.ffn_up", "model.layers.0.mlp.up_proj", [MLP, HIDDEN]],
  ["blk.0.ffn_down", "model.layers.0.mlp.down_proj", [HIDDEN, MLP]],
]
const countOf = (shape: readonly number[]): number => shape.reduce((product, size) => product * size, 1)

export const ggufTensors: readonly TestTensor[] = SHAPES.map(([name, , shape]) => ({
  name: `${name}.weight`,
  dimensions: shape.toReversed(),
  type: F32_ID,
  data: values(countOf(shape)),
}))

export const ggufBase: TestGguf = {
  metadata: [
    ["general.architecture", text("llama")],
    ["general.name", text("hostile base")],
    ["general.alignment", u32(32)],
    ["llama.block_count", u32(1)],
    ["llama.context_length", u32(64)],
    ["llama.embedding_length", u32(HIDDEN)],
    ["llama.feed_forward_length", u32(MLP)],
    ["llama.attention.head_count", u32(2)],
    ["llama.attention.head_count_kv", u32(1)],
    ["llama.attention.layer_norm_rms_epsilon", f32(1e-5)],
    ["llama.rope.freq_base", f32(10_000)],
    ["llama.rope.dimension_count", u32(4)],
    ["llama.vocab_size", u32(VOCABULARY)],
    ["tokenizer.ggml.model", text("gpt2")],
    ["tokenizer.ggml.tokens", texts([..."abcdefghij"])],
    ["tokenizer.ggml.token_type", [9, [..."abcdefghij"].map(() => [5, 1] as const)]],
    ["tokenizer.ggml.merges", texts(["a b", "c d"])],
    ["tokenizer.ggml.bos_token_id", u32(1)],
    ["tokenizer.ggml.eos_token_id", u32(2)],
    ["tokenizer.ggml.add_bos_token", [7, true]],
  ],
  tensors: ggufTensors,
}

export const safetensorsEntries: readonly TestEntry[] = SHAPES.map(([, name, shape]) => ({
  name: `${name}.weight`,
  dtype: "F32",
  shape,
  data: values(countOf(shape)),
}))

export const llamaConfig = {
  architectures: ["LlamaForCausalLM"],
  model_type: "llama",
  hidden_size: HIDDEN,
  intermediate_size: MLP,
  num_hidden_layers: 1,
  num_attention_heads: 2,
  num_key_value_heads: 1,
  head_dim: 4,
  vocab_size: VOCABULARY,
  max_position_embeddings: 64,
  rms_norm_eps: 1e-5,
  hidden_act: "silu",
  rope_theta: 10_000,
  rope_scaling: { rope_type: "linear", factor: 2 },
  tie_word_embeddings: true,
  attention_bias: false,
  mlp_bias: false,
  bos_token_id: 1,
  eos_token_id: [2, 3],
  pad_token_id: 0,
}

const shared = { ...llamaConfig, num_hidden_layers: 4, sliding_window: 8 }
const types = ["sliding_attention", "full_attention", "sliding_attention", "full_attention"]
const gemma = { ...shared, hidden_activation: "gelu_pytorch_tanh", query_pre_attn_scalar: 16, rope_scaling: null }

/** One honest config.json a family; only settings, no weights go with them. */
export const configs: Readonly<Record<string, Record<string, unknown>>> = {
  llama: {
    ...shared,
    rope_scaling: {
      type: "llama3",
      factor: 8,
      low_freq_factor: 1,
      high_freq_factor: 4,
      original_max_position_embeddings: 64,
    },
  },
  mistral: { ...shared, model_type: "mistral" },
  qwen2: {
    ...shared,
    model_type: "qwen2",
    use_sliding_window: true,
    max_window_layers: 2,
    rope_scaling: {
      type: "yarn",
      factor: 4,
      original_max_position_embeddings: 32,
      beta_fast: 32,
      beta_slow: 1,
      mscale: 1,
      mscale_all_dim: 1,
      attention_factor: 1,
      truncate: false,
    },
  },
  qwen3: { ...shared, model_type: "qwen3", layer_types: types, use_sliding_window: true },
  gemma2: { ...gemma, model_type: "gemma2", attn_logit_softcapping: 50, final_logit_softcapping: 30 },
  gemma3: {
    ...gemma,
    model_type: "gemma3_text",
    layer_types: types,
    rope_local_base_freq: 10_000,
    rope_parameters: {
      full_attention: { rope_type: "linear", factor: 8, rope_theta: 1e6 },
      sliding_attention: { rope_type: "default", rope_theta: 1e4 },
    },
  },
  phi3: {
    ...shared,
    model_type: "phi3",
    partial_rotary_factor: 0.5,
    original_max_position_embeddings: 32,
    rope_scaling: { type: "longrope", short_factor: [1], long_factor: [2] },
  },
  gpt2: {
    model_type: "gpt2",
    n_embd: HIDDEN,
    n_layer: 2,
    n_head: 2,
    n_positions: 32,
    n_inner: 16,
    vocab_size: VOCABULARY,
    layer_norm_epsilon: 1e-5,
    activation_function: "gelu_new",
    tie_word_embeddings: true,
    scale_attn_weights: true,
    eos_token_id: 2,
  },
}
