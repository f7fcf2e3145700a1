/** The token in front of a forced one: what the model expects before a text that has no template around it. */
import type { Tokenizer } from "../../text/tokenizer.ts"

export const beginChoices = ["model", "always", "never"] as const
export type Begin = (typeof beginChoices)[number]

/**
 * As the notebook's tokenizer does it ("add special tokens"): a begin-of-text token if the model expects one there. A
 * chat model's may open a turn instead (SmolLM2's `<|im_start|>`), and behind it comes a role, not a text.
 */
export function beginToken(
  { bosToken, addsBos }: Pick<Tokenizer, "bosToken" | "addsBos">,
  when: Begin = "model",
): number | undefined {
  return when === "always" || (when === "model" && addsBos) ? bosToken : undefined
}
