/** What goes into a forward pass and what comes out. */
import type { ModelConfig } from "../models/config.ts"
import type { KvCache } from "./kv-cache.ts"
import type { Ledger } from "./ledger.ts"
import type { Mask } from "./mask.ts"

/** A declared power of a model graph. Methods ask for abilities, never for a model's name. */
export type Ability =
  | "causal-cache"
  | "any-mask"
  | "tree-mask"
  | "explicit-positions"
  | "hidden-states"
  | "layer-spans"
  | "embeddings-in"
  | "chosen-logits"
  | "top-k"

/** Row-major; data.length = rows · columns. */
export interface Matrix {
  readonly data: Float32Array
  readonly rows: number
  readonly columns: number
}

export type PassInput =
  | { readonly tokens: Int32Array }
  /** [rows · hidden]: what the first layer receives instead of token embeddings. */
  | { readonly embeddings: Float32Array }
  /** [rows · hidden]: the residual stream before layer `layers[0]`. */
  | { readonly hidden: Float32Array }

export interface ForwardPass {
  readonly input: PassInput
  /** One per row; default: the cache's length, then counting up. */
  readonly positions?: Int32Array
  /** Default causal: each row sees the past, the rows before it and itself. */
  readonly mask?: Mask
  /** The past; this pass's rows are not in it until `keep`. */
  readonly cache?: KvCache
  /** Layers to run; default all. Ends before the last layer: an early exit. */
  readonly layers?: readonly [from: number, to: number]
  readonly want?: Want
}

export interface Want {
  /** Rows whose logits are wanted. */
  readonly logits?: "last" | "all" | "none" | readonly number[]
  /** Instead of whole rows of logits: the `top` largest of each, with their ids. */
  readonly top?: number
  /** Residual stream after n layers (0 = the first layer's input); "final" = after the final norm. */
  readonly hidden?: readonly (number | "final")[]
}

export interface TopLogits {
  /** [rows · top], largest first. */
  readonly values: Float32Array
  readonly ids: Int32Array
  /** ln Σ exp of each row's logits, all of them: what turns values into log-probabilities. [rows] */
  readonly logMasses: Float32Array
  readonly rows: number
  readonly top: number
}

export interface ForwardResult {
  readonly logits?: Matrix
  readonly top?: TopLogits
  readonly hidden: ReadonlyMap<number | "final", Matrix>
  /** Writes these rows into the cache, in this order. May be called once. */
  keep(rows: readonly number[]): void
}

export interface ModelRunner {
  readonly config: ModelConfig
  readonly abilities: ReadonlySet<Ability>
  readonly ledger: Ledger
  openCache(): KvCache
  forward(pass: ForwardPass): Promise<ForwardResult>
}
