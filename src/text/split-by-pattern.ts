/** Splits a text at the matches of a pattern; what happens to the matches is tokenizer.json's `behavior`. */

export const splitBehaviors: readonly unknown[] = [
  "Removed",
  "Isolated",
  "MergedWithPrevious",
  "MergedWithNext",
  "Contiguous",
]

/** `pattern` must be global. With `invert` the text between matches is what splits. Empty pieces are left out. */
export function splitByPattern(text: string, pattern: RegExp, behavior: unknown, invert: boolean): string[] {
  const words: string[] = []
  let wasDelimiter: boolean | undefined
  const add = (piece: string, isMatch: boolean): void => {
    if (piece === "") return
    const isDelimiter = isMatch !== invert
    const joins =
      (behavior === "MergedWithPrevious" && isDelimiter && wasDelimiter === false) ||
      (behavior === "MergedWithNext" && !isDelimiter && wasDelimiter === true) ||
      (behavior === "Contiguous" && isDelimiter === wasDelimiter)
    if (joins) words[words.length - 1] += piece
    else if (behavior !== "Removed" || !isDelimiter) words.push(piece)
    wasDelimiter = isDelimiter
  }
  let from = 0
  for (const match of text.matchAll(pattern)) {
    add(text.slice(from, match.index), false)
    add(match[0], true)
    from = match.index + match[0].length
  }
  add(text.slice(from), false)
  return words
}
