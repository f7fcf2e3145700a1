/** The window of Lookahead decoding: rows of guesses for coming positions, each computed from the row above. Pure. */
import { ForerunError } from "../../base/errors.ts"

/**
 * Row 0 follows the pending token; row r, column c is a guess for the position r + c after it. Full: level - 1 rows, of
 * width - 1 tokens in row 0 and `width` in the others. While the window fills, rows are longer and there are fewer.
 */
export interface Window {
  readonly rows: readonly (readonly number[])[]
}

export interface WindowSize {
  /** N: length of the n-grams, the token they are looked up by included. */
  readonly level: number
  /** W */
  readonly width: number
}

/** Row 0 alone, long enough to give a full window when each step to come has dropped a token. */
export const emptyWindow = ({ level, width }: WindowSize, token: () => number): Window => ({
  rows: [Array.from({ length: width + level - 3 }, token)],
})

export const isFull = ({ rows }: Window, { level }: WindowSize): boolean => rows.length === level - 1

/** The window as rows of a pass, in order: row 0, row 1, … A tree, since a guess sees one line of guesses. */
export interface WindowRows {
  readonly tokens: readonly number[]
  /** Index among these rows; -1: the pending token. */
  readonly parents: readonly number[]
  /** Positions after the pending token's. */
  readonly offsets: readonly number[]
  /** Where the last row begins. */
  readonly last: number
}

/** Row 0 is a line; row 1 hangs below the pending token and row 0, column by column; each later row below the one above. */
export function windowRows({ rows }: Window): WindowRows {
  const [tokens, parents, offsets]: number[][] = [[], [], []]
  const starts: number[] = []
  for (const [r, row] of rows.entries()) {
    starts.push(tokens!.length)
    for (const [c, token] of row.entries()) {
      tokens!.push(token)
      // Column 0 of row 1 is below the pending token, column c below row 0's token c - 1.
      parents!.push(r < 2 ? c - 1 : starts[r - 1]! + c)
      offsets!.push(r === 0 ? 1 + c : r + c)
    }
  }
  return { tokens: tokens!, parents: parents!, offsets: offsets!, last: starts.at(-1)! }
}

/** @param guesses the likeliest token after each token of the last row: the next row */
export function advance(window: Window, guesses: readonly number[], size: WindowSize): Window {
  const { rows } = window
  if (guesses.length !== rows.at(-1)!.length)
    throw new ForerunError("E_INTERNAL", `a window's last row has ${rows.at(-1)!.length} tokens, not ${guesses.length}`)
  // The pending token takes the place of a column, in the first row only once the others have moved up.
  if (isFull(window, size)) return { rows: [rows[1]!.slice(1), ...rows.slice(2), guesses] }
  const shorter = rows.map((row) => row.slice(1))
  return { rows: [...shorter, rows.length === 1 ? guesses : guesses.slice(1)] }
}

/** What a full window and its new row say: by the token before it, the level - 1 tokens down each column. */
export function gramsOf(
  { rows }: Window,
  pending: number,
  guesses: readonly number[],
): { key: number; gram: number[] }[] {
  const [first, ...below] = rows
  return guesses.map((guess, c) => ({
    key: c === 0 ? pending : first![c - 1]!,
    gram: [...below.map((row) => row[c]!), guess],
  }))
}
