/** The short answer inside a longer text, so that texts can be compared, voted on and judged. Pure. */

export const answerKinds = ["number", "boxed", "letter", "text"] as const
export type AnswerKind = (typeof answerKinds)[number]

/**
 * number: what follows "####", else the last number, without thousands separators or trailing zeros; boxed: the last
 * \boxed{…}; letter: the last capital from A to J that stands alone; text: the whole text, trimmed.
 * @returns undefined when there is none
 */
export function findAnswer(text: string, kind: AnswerKind): string | undefined {
  if (kind === "text") return text.trim() || undefined
  if (kind === "boxed") return lastOf(text, /\\boxed\{([^{}]*)\}/g)?.trim() || undefined
  if (kind === "letter") return lastOf(text, /(?<![A-Za-z])([A-J])(?![A-Za-z])/g)
  const marked = text.split("####")
  const number = /(-?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?|-?\.\d+)/g
  const found = marked.length > 1 ? number.exec(marked.at(-1)!)?.[1] : lastOf(text, number)
  return found === undefined ? undefined : plainNumber(found)
}

/** The answer most give, the first seen on a tie; those without one do not vote. */
export function majority(answers: readonly (string | undefined)[]): string | undefined {
  const votes = new Map<string, number>()
  for (const answer of answers) if (answer !== undefined) votes.set(answer, (votes.get(answer) ?? 0) + 1)
  let best: string | undefined
  for (const [answer, count] of votes) if (best === undefined || count > votes.get(best)!) best = answer
  return best
}

const lastOf = (text: string, pattern: RegExp): string | undefined => [...text.matchAll(pattern)].at(-1)?.[1]

/** Digit by digit: numbers may be longer than any float. */
function plainNumber(text: string): string {
  const [whole = "", fraction = ""] = text.replaceAll(",", "").replace(/^-/, "").split(".")
  const decimals = fraction.replace(/0+$/, "")
  const plain = `${whole.replace(/^0+(?=\d)/, "") || "0"}${decimals === "" ? "" : `.${decimals}`}`
  return text.startsWith("-") && plain !== "0" ? `-${plain}` : plain
}
