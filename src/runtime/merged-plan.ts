/** How the rows of a merged pass are cut into pieces, and which pages are multiplied together. Pure decisions. */
import type { Page } from "./arena.ts"

/** One sequence's rows in a merged pass. */
export interface Member {
  /** Its first row in the pass. */
  readonly first: number
  readonly rows: number
  /** Cached positions behind its last page. */
  readonly tail: number
  readonly pages: readonly Page[]
  /** Whether a row may see the rows after it. */
  readonly seesAhead: boolean
}

/** Consecutive rows of one member. */
export interface Piece {
  readonly member: number
  /** Rows of the member, the first and the one after the last. */
  readonly from: number
  readonly to: number
  /** New rows in its window, from the member's first on. */
  readonly news: number
}

/** What a piece or a page costs beside its rows, in rows. */
const fixedCost = 8

/** The length that makes the sum of all pieces cheapest; shorter pieces fill up to it with rows nobody reads. */
export function pieceLength(rows: readonly number[]): number {
  const most = Math.max(...rows)
  const cost = (length: number) =>
    rows.reduce((sum, count) => sum + Math.ceil(count / length) * (fixedCost + length), 0)
  let best = most
  for (const length of new Set([...rows, 1, 2, 4, 8, 16, 32, 64, 128]))
    if (length <= most && cost(length) < cost(best)) best = length
  return best
}

export function cutPieces(members: readonly Member[], length: number): Piece[] {
  return members.flatMap(({ rows, seesAhead }, member) =>
    Array.from({ length: Math.ceil(rows / length) }, (_, i) => {
      const to = Math.min(rows, (i + 1) * length)
      return { member, from: i * length, to, news: seesAhead ? rows : to }
    }),
  )
}

/** Visitors from which on pages count as seen by many: the two sets together cost least. */
export function manyVisitors(visitors: readonly number[]): number {
  const sorted = visitors.toSorted((a, b) => a - b)
  const most = sorted.at(-1) ?? 0
  let [best, from] = [sorted.length * (fixedCost + most), most + 1]
  for (let i = 1; i < sorted.length; i++) {
    const cost = i * (fixedCost + sorted[i - 1]!) + (sorted.length - i) * (fixedCost + most)
    if (cost < best) [best, from] = [cost, sorted[i]!]
  }
  return from
}
