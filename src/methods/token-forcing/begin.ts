/** The token in front of a forced one: what stands before a text that has no template around it. */
import type { Tokenizer } from "../../text/tokenizer.ts"

export const beginChoices = ["model", "always", "never"] as const
export type Begin = (typeof beginChoices)[number]

/** What separates documents where models are trained on texts without a begin-of-text token. */
const separators = ["<|endoftext|>", "<|end_of_text|>"]

/**
 * As the notebook's tokenizer does it ("add special tokens"): the begin-of-text token, if the model expects one there.
 * A chat model's may open a turn instead (SmolLM2's `<|im_start|>`: behind it comes a role, not a text); then what
 * separates documents. Nothing in front is no choice where anything else is: the first position of all is read as a
 * resting place for attention, hardly as the token that it is, and no text follows from it.
 */
export function beginToken(
  { bosToken, addsBos, special }: Pick<Tokenizer, "bosToken" | "addsBos" | "special">,
  when: Begin = "model",
): number | undefined {
  if (when === "never") return undefined
  if (when === "always" || addsBos) return bosToken
  return separators.map((spelling) => special.get(spelling)).find((id) => id !== undefined)
}
