/** The caller's expected text as tokens, for a method that drafts from one. */
import { ForerunError } from "../base/errors.ts"
import type { Method } from "../decoding/method.ts"
import type { Tokenizer } from "../text/tokenizer.ts"

/** @throws E_OPTION when the method needs one that was not given, or takes none that was */
export function encodePrediction(
  { name, prediction: use }: Pick<Method, "name" | "prediction">,
  prediction: unknown,
  tokenizer: Tokenizer,
): { readonly prediction?: readonly number[] } {
  if (prediction === undefined) {
    if (use !== "needed") return {}
    throw new ForerunError("E_OPTION", `${name} needs a prediction, and none was given`, {
      hint: "give the text you expect as `prediction`, or --prediction-file <file>",
    })
  }
  if (typeof prediction !== "string")
    throw new ForerunError("E_OPTION", `prediction must be a text; found ${typeof prediction}`)
  if (use === undefined) throw new ForerunError("E_OPTION", `${name} takes no prediction`)
  return { prediction: Array.from(tokenizer.encode(prediction)) }
}
