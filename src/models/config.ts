/** What a model is: one plain record, the same whether it came from config.json or from GGUF metadata. */

export type Activation = "silu" | "gelu" | "gelu-tanh" | "relu"

/** How rotary frequencies are stretched past the trained context. */
export type RopeScaling =
  | { readonly type: "linear"; readonly factor: number }
  | {
      readonly type: "llama3"
      readonly factor: number
      readonly lowFrequencyFactor: number
      readonly highFrequencyFactor: number
      readonly originalContext: number
    }
  | {
      readonly type: "yarn"
      readonly factor: number
      readonly originalContext: number
      readonly betaFast: number
      readonly betaSlow: number
      /** Multiplies cos and sin; when absent 0.1 ln(factor) + 1 (or the mscale ratio, already resolved here). */
      readonly attentionFactor: number
      readonly truncate: boolean
    }
  | {
      readonly type: "longrope"
      readonly shortFactor: readonly number[]
      readonly longFactor: readonly number[]
      readonly originalContext: number
      readonly attentionFactor: number
    }
  /** Explicit divisors of each frequency (GGUF's rope_freqs.weight). */
  | { readonly type: "factors"; readonly factors: readonly number[] }

export interface RopeConfig {
  readonly base: number
  /** Leading dimensions of each head that turn; the rest pass unchanged. Even. */
  readonly dimensions: number
  readonly scaling?: RopeScaling
}

export interface LayerConfig {
  /** A row sees at most this many positions, itself included; undefined = all. */
  readonly slidingWindow?: number
  /** undefined = no rotary embedding (learned positions). */
  readonly rope?: RopeConfig
}

export interface ModelConfig {
  /** Registry key in models/index.ts: llama, qwen2, qwen3, mistral, gemma2, gemma3, phi3, gpt2, … */
  readonly family: string
  readonly layers: number
  readonly hidden: number
  readonly heads: number
  readonly kvHeads: number
  readonly headSize: number
  readonly intermediate: number
  readonly vocabulary: number
  /** Longest sequence the model is made for, in tokens. */
  readonly context: number
  readonly normEpsilon: number
  readonly activation: Activation
  /** Scores are multiplied by this before the softmax (usually 1/sqrt(headSize)). */
  readonly queryScale: number
  /** Token embeddings are multiplied by this (gemma: sqrt(hidden)); 1 otherwise. */
  readonly embeddingScale: number
  readonly attentionSoftcap?: number
  readonly logitSoftcap?: number
  readonly tiedHead: boolean
  readonly attentionBias: { readonly qkv: boolean; readonly output: boolean }
  readonly mlpBias: boolean
  /** RMS norms on each head's query and key (qwen3, gemma3). */
  readonly queryKeyNorm: boolean
  /** One entry per layer. */
  readonly layer: readonly LayerConfig[]
  readonly bosToken?: number
  readonly eosTokens: readonly number[]
  readonly padToken?: number
}
