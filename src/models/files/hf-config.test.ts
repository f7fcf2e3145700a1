/** What transformers makes of a config.json, family by family: defaults, windows and rotary scaling. */

import { describe, expect, it } from "vitest"
import type { ModelConfig } from "../config.ts"
import { configError } from "./format-error.ts"
import { configFromHf } from "./hf-config.ts"
import { parseJsonObject } from "./json.ts"

const BASE = {
  hidden_size: 64,
  intermediate_size: 128,
  num_hidden_layers: 6,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  vocab_size: 100,
  max_position_embeddings: 4096,
}

function read(changes: object, generation?: object): ModelConfig {
  const json = (value: object) => parseJsonObject(JSON.stringify(value), "config.json", configError)
  return configFromHf(json({ ...BASE, ...changes }), "config.json", generation && json(generation))
}
const windows = (config: ModelConfig) => config.layer.map((each) => each.slidingWindow ?? 0)
const scaling = (config: ModelConfig) => config.layer[0]?.rope?.scaling

describe("sliding windows", () => {
  it("mistral: 4096 unsaid, none when null", () => {
    expect(windows(read({ model_type: "mistral" }))).toEqual(new Array(6).fill(4096))
    expect(windows(read({ model_type: "mistral", sliding_window: null }))).toEqual(new Array(6).fill(0))
  })
  it("qwen2: only with use_sliding_window, from max_window_layers on", () => {
    expect(windows(read({ model_type: "qwen2", sliding_window: 8 }))).toEqual([0, 0, 0, 0, 0, 0])
    const some = { model_type: "qwen2", sliding_window: 8, use_sliding_window: true, max_window_layers: 4 }
    expect(windows(read(some))).toEqual([0, 0, 0, 0, 8, 8])
  })
  it("gemma2 alternates; gemma3 has five local layers and a global one, each with its base", () => {
    expect(windows(read({ model_type: "gemma2", sliding_window: 8 }))).toEqual([8, 0, 8, 0, 8, 0])
    const gemma3 = read({
      model_type: "gemma3_text",
      sliding_window: 8,
      rope_scaling: { rope_type: "linear", factor: 8 },
    })
    expect(windows(gemma3)).toEqual([8, 8, 8, 8, 8, 0])
    expect(gemma3.layer[0]?.rope).toEqual({ base: 10_000, dimensions: 256 })
    expect(gemma3.layer[5]?.rope).toEqual({ base: 1e6, dimensions: 256, scaling: { type: "linear", factor: 8 } })
  })
})

describe("rotary scaling", () => {
  const yarn = (more: object) => read({ model_type: "qwen3", rope_scaling: { type: "yarn", factor: 4, ...more } })
  it("yarn: the attention factor is given, a ratio of two magnitudes, or 0.1 ln(factor) + 1", () => {
    const usual = 0.1 * Math.log(4) + 1
    expect(scaling(yarn({}))).toMatchObject({
      attentionFactor: usual,
      originalContext: 4096,
      betaFast: 32,
      truncate: true,
    })
    expect(scaling(yarn({ mscale: 1 }))).toMatchObject({ attentionFactor: usual })
    expect(scaling(yarn({ mscale: 0.5, mscale_all_dim: 1 }))).toMatchObject({
      attentionFactor: (0.05 * Math.log(4) + 1) / usual,
    })
    expect(scaling(yarn({ attention_factor: 1.5, truncate: false }))).toMatchObject({
      attentionFactor: 1.5,
      truncate: false,
    })
    expect(scaling(yarn({ factor: 0.5 }))).toMatchObject({ attentionFactor: 1 })
  })
  it("phi3's longrope: over the outer original context, under its old names too", () => {
    const factors = { short_factor: new Array(4).fill(1), long_factor: new Array(4).fill(2) }
    const phi3 = { model_type: "phi3", original_max_position_embeddings: 1024, partial_rotary_factor: 0.5 }
    for (const type of ["longrope", "su", "yarn"])
      expect(scaling(read({ ...phi3, rope_scaling: { type, ...factors } }))).toMatchObject({
        type: "longrope",
        originalContext: 1024,
        attentionFactor: Math.sqrt(1 + Math.log(4) / Math.log(1024)),
      })
  })
  it("rope_parameters says the same as rope_theta with rope_scaling", () => {
    const llama3 = {
      rope_type: "llama3",
      factor: 8,
      low_freq_factor: 1,
      high_freq_factor: 4,
      original_max_position_embeddings: 64,
    }
    const old = read({ model_type: "llama", rope_theta: 5e5, rope_scaling: llama3 })
    expect(read({ model_type: "llama", rope_parameters: { ...llama3, rope_theta: 5e5 } })).toEqual(old)
    expect(old.layer[0]?.rope?.base).toBe(5e5)
  })
})

describe("unsaid values and refusals", () => {
  it("ties the head as the family does, and joins the end tokens of both files", () => {
    const tied = ["llama", "mistral", "qwen2", "qwen3", "phi3", "gemma2", "gemma3_text"].map(
      (model_type) => read({ model_type }).tiedHead,
    )
    expect(tied).toEqual([false, false, false, false, false, true, true])
    expect(read({ model_type: "llama", eos_token_id: 2 }, { eos_token_id: [2, 7] }).eosTokens).toEqual([2, 7])
  })
  it("names the key, what was needed and what was found", () => {
    expect(() => read({ model_type: "llama", num_hidden_layers: 1e9 })).toThrow(
      "num_hidden_layers needs an integer from 1 to 4096, found 1000000000",
    )
    expect(() => read({ model_type: "llama", rope_scaling: { rope_type: "dynamic", factor: 2 } })).toThrow(/dynamic/)
    expect(() => read({ model_type: "mamba" })).toThrow(/model_type "mamba" is not supported/)
  })
})
