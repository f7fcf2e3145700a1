/** The text that is expected: who gets it, and as which tokens. */
import { ForerunError } from "../base/errors.ts"
import type { Method } from "../decoding/method.ts"
import { loadMethod } from "../methods/index.ts"
import type { Tokenizer } from "../text/tokenizer.ts"

/** What a prompt brings along, for those methods that draft from it: others answer the same prompts without. */
export async function predictionFor(
  method: string | undefined,
  { prediction }: { readonly prediction?: string },
): Promise<{ readonly prediction?: string }> {
  if (prediction === undefined || method === undefined) return {}
  return (await loadMethod(method)).prediction === undefined ? {} : { prediction }
}

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
