/** What a model family adds: how a layer is put together, and where its weights are called what. */
import type { Value } from "../../graph/index.ts"
import type { ModelBuilder, Residual } from "../builder.ts"

export interface Family {
  readonly name: string
  /** One transformer layer. `tap` receives the residual stream that enters it. */
  layer(b: ModelBuilder, layer: number, x: Residual, tap: (hidden: Value) => void): Residual
  /** The norm after the last layer. */
  finalNorm(b: ModelBuilder, x: Residual): { sum: Value; normed: Value }
  /** Name (without .weight) of the token embedding, which is also the head when the model ties them. */
  readonly embedding: string
  readonly head: string
  /** Name of a table of learned positions, added to the embeddings. */
  readonly positions?: string
}
