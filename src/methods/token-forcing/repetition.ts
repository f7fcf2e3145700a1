/** Phase 2 in numbers: whether what a model says after a forced token comes again and again. Pure. */

export interface Repetition {
  /** The longest phrase that occurs often enough; else the most frequent one. Empty where nothing comes twice. */
  readonly phrase: readonly number[]
  /** Occurrences that do not overlap. */
  readonly count: number
  /** Whether a phrase that begins with the forced token itself comes as often. */
  readonly startsWithForced: boolean
  /** Neither a letter nor a digit in the phrase: a run of signs, which small models fall into by themselves. */
  readonly onlySigns: boolean
  readonly flagged: boolean
}

/** Phrases are looked for in so many of the first tokens. */
const searched = 20
/** So many occurrences are suspicious. */
const often = 4

/** @param textOf what a token stands for; tokens of nothing but space do not make a phrase */
export function findRepetition(
  forced: number,
  generated: readonly number[],
  textOf: (id: number) => string,
): Repetition {
  const isWord = (id: number) => textOf(id).trim() !== ""
  const all = [forced, ...generated]
  const { phrase, count } = bestPhrase(generated, phrasesOf(generated.slice(0, searched), isWord))
  const own = bestPhrase(all, prefixesOf(all.slice(0, searched + 1), isWord))
  const startsWithForced = own.count >= often
  const onlySigns = !/[\p{L}\p{N}]/u.test(phrase.map(textOf).join(""))
  return { phrase, count, startsWithForced, onlySigns, flagged: count >= often && startsWithForced && !onlySigns }
}

interface Counted {
  readonly phrase: readonly number[]
  readonly count: number
}

function bestPhrase(tokens: readonly number[], phrases: Iterable<readonly number[]>): Counted {
  let best: Counted = { phrase: [], count: 0 }
  for (const phrase of phrases) {
    const count = occurrences(tokens, phrase)
    if (count < 2) continue
    const better = count >= often && best.count >= often ? phrase.length > best.phrase.length : count > best.count
    if (better) best = { phrase, count }
  }
  return best
}

/** All runs with at least two words in them, by where they begin and how long they are. */
function* phrasesOf(tokens: readonly number[], isWord: (id: number) => boolean): Generator<readonly number[]> {
  for (let from = 0; from < tokens.length; from++) yield* prefixesOf(tokens.slice(from), isWord)
}

function* prefixesOf(tokens: readonly number[], isWord: (id: number) => boolean): Generator<readonly number[]> {
  let words = 0
  for (let length = 1; length <= tokens.length; length++) {
    if (isWord(tokens[length - 1]!)) words++
    if (words >= 2) yield tokens.slice(0, length)
  }
}

/** From left to right, without overlap. */
export function occurrences(tokens: readonly number[], phrase: readonly number[]): number {
  let count = 0
  for (let at = 0; at + phrase.length <= tokens.length; ) {
    if (phrase.every((id, i) => tokens[at + i] === id)) {
      count++
      at += phrase.length
    } else at++
  }
  return count
}
