/** Short makers for the three errors a model file can raise. */

import { ForerunError } from "../../base/errors.ts"

/** The file is malformed, truncated or lies about itself. */
export const formatError = (message: string): ForerunError => new ForerunError("E_MODEL_FORMAT", message)

/** The file is well formed, but not something this version runs. */
export const unsupportedError = (message: string, hint?: string): ForerunError =>
  new ForerunError("E_MODEL_UNSUPPORTED", message, hint === undefined ? {} : { hint })

/** The model's settings are malformed or absurd. */
export const configError = (message: string): ForerunError => new ForerunError("E_CONFIG", message)

/** A name from a file, safe to print: quoted, control characters escaped, cut at 80 characters. */
export const shown = (name: string): string => JSON.stringify(name.length > 80 ? `${name.slice(0, 80)}…` : name)
