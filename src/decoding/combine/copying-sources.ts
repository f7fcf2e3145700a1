/** Drafters that copy, with what is believed of their tokens at first: graded by how many tokens agreed before. */
import { createLookupDrafter, type LookupOptions } from "../drafters/lookup-drafter.ts"
import { createPredictionDrafter } from "../drafters/prediction-drafter.ts"
import type { DraftSource } from "./draft-source.ts"

export const lookupSource = (options: LookupOptions): DraftSource => ({
  name: "prompt-lookup",
  drafter: createLookupDrafter(options),
  // As counted on auto's tuning prompts (its README): a quarter after one token, half after two, nine in ten after many.
  expected: (grade) => (grade > 8 ? 0.9 : 1 - 0.75 * Math.max(1, grade) ** -0.6),
})

/** @param begin index of the answer's first token in the text */
export const predictionSource = (prediction: readonly number[], begin: number): DraftSource => ({
  name: "prediction",
  drafter: createPredictionDrafter(prediction, begin),
  // An expected text is followed more often than not.
  expected: (grade) => (grade > 0 ? grade / (grade + 0.5) : 0.5),
})
