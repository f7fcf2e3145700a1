/** The two kinds of merge table: ranked pairs (GPT-2's merges list) and scored texts (sentencepiece). */
import type { MergeTable } from "./byte-pair.ts"
import { malformed, quoted } from "./tokenizer-definition.ts"

/** A merge: two spellings, as ["a", "b"] or "a b". */
export type Merge = string | readonly string[]

/**
 * Pairs merge in the order of the list, except into a token that `isForbidden` (a control token, which no plain text may become).
 * Throws E_TOKENIZER when a merge is malformed or names what `ids` lacks.
 */
export function rankedMerges(
  ids: ReadonlyMap<string, number>,
  merges: readonly Merge[],
  isForbidden: (id: number) => boolean,
): MergeTable {
  const lefts = new Int32Array(merges.length)
  const rights = new Int32Array(merges.length)
  const results = new Int32Array(merges.length)
  // Open addressing on (left, right): a Map with number keys past 2^31 costs several times as much to build.
  let slots = 16
  while (slots < merges.length * 2) slots *= 2
  const table = new Int32Array(slots).fill(-1)
  const slotOf = (left: number, right: number): number => {
    let slot = (Math.imul(left, 0x9e3779b1) ^ Math.imul(right, 0x85ebca6b)) >>> 0
    slot = (slot ^ (slot >>> 15)) & (slots - 1)
    for (;;) {
      const pair = table[slot]!
      if (pair < 0 || (lefts[pair] === left && rights[pair] === right)) return slot
      slot = (slot + 1) & (slots - 1)
    }
  }
  const idOf = (text: string, rank: number): number => {
    const id = ids.get(text)
    if (id !== undefined) return id
    throw malformed(`merge ${rank} needs the token ${quoted(text)}, which the vocabulary lacks`)
  }
  for (let rank = 0; rank < merges.length; rank++) {
    const [left, right] = splitMerge(merges[rank], rank)
    lefts[rank] = idOf(left, rank)
    rights[rank] = idOf(right, rank)
    results[rank] = idOf(left + right, rank)
    const slot = slotOf(lefts[rank]!, rights[rank]!)
    // Of two equal merges the first counts.
    if (table[slot]! < 0 && !isForbidden(results[rank]!)) table[slot] = rank
  }
  return {
    symbol: (character) => {
      const id = ids.get(character)
      return id === undefined || isForbidden(id) ? -1 : id
    },
    find: (left, right) => (left < 0 || right < 0 ? -1 : table[slotOf(left, right)]!),
    priority: (pair) => pair,
    merged: (pair) => results[pair]!,
  }
}

/** Any two neighbours merge whose joint text is a token; the highest score first. Scores are log-probabilities or -rank. */
export function scoredMerges(ids: ReadonlyMap<string, number>, scores: ArrayLike<number>): MergeTable {
  let longest = 0
  for (const text of ids.keys()) longest = Math.max(longest, text.length)
  return {
    symbol: (character) => ids.get(character) ?? -1,
    // The length test keeps long runs linear: no slice is longer than the longest token.
    find: (_left, _right, word, start, end) => (end - start > longest ? -1 : (ids.get(word.slice(start, end)) ?? -1)),
    priority: (pair) => -scores[pair]!,
    merged: (pair) => pair,
  }
}

function splitMerge(merge: unknown, rank: number): [string, string] {
  if (typeof merge === "string") {
    const space = merge.indexOf(" ", 1)
    if (space > 0 && space < merge.length - 1) return [merge.slice(0, space), merge.slice(space + 1)]
  } else if (Array.isArray(merge) && merge.length === 2) {
    const [left, right] = merge
    if (typeof left === "string" && typeof right === "string" && left !== "" && right !== "") return [left, right]
  }
  throw malformed(`merge ${rank} must be "left right" or ["left", "right"], found ${quoted(merge)}`)
}
