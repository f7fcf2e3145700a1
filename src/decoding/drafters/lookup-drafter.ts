/** Drafts what followed the last tokens the last time they occurred. */
import { chainOf } from "../candidate-tree.ts"
import type { Drafter } from "../speculate.ts"

export interface LookupOptions {
  /** Longest match that is looked for, and shortest that counts, in tokens. */
  readonly longest: number
  readonly shortest: number
  /** Drafted tokens for each token of the match. */
  readonly perMatch: number
  /** Of equally good matches, the first in the text instead of the last. */
  readonly leftmost: boolean
}

export const createLookupDrafter = (options: LookupOptions): Drafter => ({
  async propose({ tokens, room }) {
    const { match, copied } = lookUp(tokens, room.depth, options)
    // Once accepted, a copied token makes the match one longer.
    return { tree: chainOf(copied), grades: copied.map((_, i) => gradeOfMatch(match + i)) }
  },
})

/** Up to eight each length is a grade, then each doubling, up to 64. */
export const gradeOfMatch = (match: number): number =>
  match <= 8 ? match : 8 + Math.ceil(Math.log2(Math.min(match, 64) / 8))

export interface Lookup {
  /** Tokens that agree before the copy; below the shortest when nothing was found. */
  readonly match: number
  readonly copied: readonly number[]
}

/**
 * The continuation of the longest earlier match of the text's end: of equally long ones, of the one with more to copy
 * (in a loop the latest has but a few tokens left), then of the latest or the first. Never reads past the end.
 */
export function lookUp(tokens: readonly number[], most: number, options: LookupOptions): Lookup {
  const { longest, shortest, perMatch, leftmost } = options
  const end = tokens.length
  let best = { match: shortest - 1, count: 0, start: 0 }
  for (let start = 1; start < end; start++) {
    let match = 0
    while (match < longest && match < start && tokens[start - 1 - match] === tokens[end - 1 - match]) match++
    if (match < shortest || match < best.match) continue
    const count = Math.min(most, match * perMatch, end - start)
    const isBetter = match > best.match || count > best.count || (count === best.count && !leftmost)
    if (isBetter) best = { match, count, start }
  }
  return { match: best.match, copied: tokens.slice(best.start, best.start + best.count) }
}
