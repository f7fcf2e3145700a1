/** Which rows of a drafter see each other: blocks of `span` rows, counted from the end of the text. Pure. */

/**
 * Falcon's relaxed causal mask (arXiv 2412.12639 §3.2): a row sees its own block and those before. Blocks end where the
 * text ends, so the last block always holds the row of the pending token (counted from the start, as published, it
 * would be cut off from the row before it every second time).
 * @param row, other positions below `end`, the number of rows
 */
export const seesBlock = (row: number, other: number, { end, span }: { end: number; span: number }): boolean =>
  Math.floor((end - 1 - other) / span) >= Math.floor((end - 1 - row) / span)

/**
 * The row from which a text is fed again: new rows, but at least a block's worth, since the rows that guess must be of
 * this pass. Keys and values of one layer do not depend on the mask, so those cached before stay right.
 */
export const firstRow = (cached: number, end: number, span: number): number => Math.max(0, Math.min(cached, end - span))

/** Longest first: rows in pieces of at most `most`, the last of which has all that guess. */
export function pieces(start: number, end: number, most: number): [from: number, to: number][] {
  const cuts: [number, number][] = []
  for (let to = end; to > start; to -= most) cuts.unshift([Math.max(start, to - most), to])
  return cuts
}
