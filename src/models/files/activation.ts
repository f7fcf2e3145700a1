/** Names of activation functions in config.json. */

import type { Activation } from "../config.ts"
import { unsupportedError } from "./format-error.ts"

const ACTIVATIONS = new Map<string, Activation>([
  ["silu", "silu"],
  ["swish", "silu"],
  ["gelu", "gelu"],
  ["gelu_new", "gelu-tanh"],
  ["gelu_pytorch_tanh", "gelu-tanh"],
  ["relu", "relu"],
])

/** @throws ForerunError E_MODEL_UNSUPPORTED */
export function activationOf(name: string): Activation {
  const activation = ACTIVATIONS.get(name)
  if (activation === undefined) {
    const known = [...ACTIVATIONS.keys()].join(", ")
    throw unsupportedError(`activation ${JSON.stringify(name.slice(0, 40))}: needed one of ${known}`)
  }
  return activation
}
