/** The tokens that a draft may use: a few thousand of the vocabulary, so that heads are small. The output never changes. */
import { ForerunError } from "../base/errors.ts"
import type { TensorToSave } from "../models/trained-part.ts"
import type { Answer } from "./answers.ts"

export interface VocabularyChoice {
  readonly size: number
  /** The target's. */
  readonly vocabulary: number
  /** Tokens of text of any kind, for what neither answers nor prompts hold. */
  readonly broad?: ArrayLike<number>
}

/**
 * What answers hold, the most frequent first; then what prompts do, then broad text, then the lowest ids, which a
 * byte-pair vocabulary gives to what it met first. @returns ascending ids
 */
export function chooseVocabulary(
  answers: readonly Pick<Answer, "prompt" | "answer">[],
  { size, vocabulary, broad = [] }: VocabularyChoice,
): Int32Array {
  if (size > vocabulary)
    throw new ForerunError("E_OPTION", `a draft vocabulary of ${size} tokens is more than the target's ${vocabulary}`)
  const chosen = new Set<number>()
  const take = (ids: Iterable<number>) => {
    for (const id of ids) {
      if (chosen.size >= size) return
      chosen.add(id)
    }
  }
  take(byCount(answers.map(({ answer }) => answer)))
  take(byCount(answers.map(({ prompt }) => prompt)))
  take(byCount([broad]))
  take(Array.from({ length: vocabulary }, (_, id) => id))
  return Int32Array.from(chosen).sort()
}

/** The most frequent first; of equals the lowest id. */
function byCount(texts: readonly ArrayLike<number>[]): number[] {
  const counts = new Map<number, number>()
  for (const text of texts) for (let i = 0; i < text.length; i++) counts.set(text[i]!, (counts.get(text[i]!) ?? 0) + 1)
  return [...counts].sort(([a, m], [b, n]) => n - m || a - b).map(([id]) => id)
}

/** Place of each token of the target's vocabulary among the chosen ones; -1: it is none of them. */
export function placesOf(chosen: Int32Array, vocabulary: number): Int32Array {
  const places = new Int32Array(vocabulary).fill(-1)
  for (const [place, id] of chosen.entries()) places[id] = place
  return places
}

/** Share of the answers' tokens that can be drafted: a cap on how often drafts come true. */
export function coverage(chosen: Int32Array, answers: readonly Pick<Answer, "answer">[]): number {
  const known = new Set(chosen)
  const tokens = answers.flatMap(({ answer }) => answer)
  return tokens.length === 0 ? 1 : tokens.filter((id) => known.has(id)).length / tokens.length
}

/** As a part keeps it: float32, since halves hold no whole numbers above 2,048. */
export const vocabularyTensor = (chosen: Int32Array): TensorToSave => ({
  name: "vocabulary",
  shape: [chosen.length],
  values: Float32Array.from(chosen),
  type: "F32",
})
