/** Whether two models speak of the same tokens, so that one can draft for the other. */
import type { Tokenizer } from "./tokenizer.ts"

export interface VocabularyComparison {
  /** Ids that both have and that stand for the same bytes, counted from 0 up to the first difference. */
  readonly shared: number
  /** The first id that stands for different bytes (or is a control token in only one); undefined = none among the common ids. */
  readonly firstDifference?: number
  /** Whether every id of the smaller vocabulary means the same in the larger one. */
  readonly isCompatible: boolean
}

/** Compares id by id; sizes may differ, since models pad their vocabularies. */
export function compareVocabularies(a: Tokenizer, b: Tokenizer): VocabularyComparison {
  const common = Math.min(a.size, b.size)
  for (let id = 0; id < common; id++) {
    const [bytesOfA, bytesOfB] = [a.bytes(id), b.bytes(id)]
    const isSame = bytesOfA.length === bytesOfB.length && bytesOfA.every((byte, i) => byte === bytesOfB[i])
    if (!isSame || a.isSpecial(id) !== b.isSpecial(id)) return { shared: id, firstDifference: id, isCompatible: false }
  }
  return { shared: common, isCompatible: true }
}
