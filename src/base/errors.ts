/** Typed errors: every failure a caller can cause or meet has a stable code, what was found, and a hint. */

export type ErrorCode =
  | "E_USAGE" // the command line was wrong (exit 2)
  | "E_OPTION" // an option's value is out of range or of the wrong type
  | "E_MODEL_NOT_FOUND"
  | "E_MODEL_FORMAT" // a model file is malformed, truncated or lies about itself
  | "E_MODEL_UNSUPPORTED" // well formed, but not something this version runs
  | "E_CONFIG" // config.json is malformed or absurd
  | "E_TOKENIZER"
  | "E_TEMPLATE" // a chat template failed, ran too long or printed too much
  | "E_GRAMMAR" // a grammar is malformed, or asks for what cannot be enforced
  | "E_CONTEXT_LENGTH" // the prompt does not fit the model's context
  | "E_INPUT" // a forward pass or a prompt is malformed
  | "E_ABILITY" // a method needs what this model's graph does not offer
  | "E_DRAFT" // a method needs a draft model or trained weights that were not loaded, or that fit another target
  | "E_GRAPH" // a graph could not be built: shapes or types do not fit
  | "E_RUNTIME" // the backend failed
  | "E_DISPOSED"
  | "E_ENGINE_LOST" // the engine's own process ended: what it was asked is lost, and it is started again
  | "E_ABORTED"
  | "E_METHOD_NOT_FOUND"
  | "E_DOWNLOAD" // transfer failed, or what arrived is not what was promised
  | "E_OFFLINE" // would need the network, which is off
  | "E_LOCKED" // another process holds the lock
  | "E_PEER" // a peer program or a server elsewhere is missing or failed
  | "E_IO"
  | "E_INTERNAL"

export class ForerunError extends Error {
  override readonly name = "ForerunError"
  readonly code: ErrorCode
  readonly hint: string | undefined

  constructor(code: ErrorCode, message: string, options: { hint?: string; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.hint = options.hint
  }

  toJSON(): { code: ErrorCode; message: string; hint?: string } {
    return { code: this.code, message: this.message, ...(this.hint === undefined ? {} : { hint: this.hint }) }
  }
}

/** Any thrown thing as a ForerunError; what is not one already becomes `code`. */
export function asForerunError(thrown: unknown, code: ErrorCode = "E_INTERNAL"): ForerunError {
  if (thrown instanceof ForerunError) return thrown
  const message = thrown instanceof Error ? thrown.message : String(thrown)
  return new ForerunError(code, message, { cause: thrown })
}
