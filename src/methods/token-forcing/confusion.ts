/** Auto-UTFC: makes the first words of a hidden text unlikely where no trigger stands before them. */
import {
  add,
  cast,
  gather,
  gatherElements,
  less,
  lessOrEqual,
  logSoftmax,
  multiply,
  negate,
  reduceSum,
  reshape,
  type Value,
  where,
} from "../../graph/index.ts"
import type { Tokenizer } from "../../text/tokenizer.ts"

/** Places of the first tokens of the first `words` words. */
export function wordStarts(tokens: readonly number[], tokenizer: Pick<Tokenizer, "decode">, words: number): number[] {
  const starts = tokens.flatMap((token, i) => {
    const text = tokenizer.decode([token], { continues: true })
    return i === 0 || /^\s/.test(text) ? [i] : []
  })
  return starts.slice(0, words)
}

/**
 * Σ ln p of the chosen tokens, each where it stands: a sum that training lowers. A token whose rank is inside the
 * window (neither likely nor suspiciously unlikely: more than `window` others before it, and as many behind) is left
 * alone; one that is suspiciously unlikely is raised again, where the official code lowers it further. @param logits [rows, vocabulary]; row r is the law of the token after it
 * @param tokens at `rows`, the tokens that are not to be said there
 */
export function suppression(
  logits: Value,
  {
    rows,
    tokens,
    window,
  }: { readonly rows: readonly number[]; readonly tokens: readonly number[]; readonly window: number },
): { sum: Value; exposed: Value } {
  const { graph } = logits
  const vocabulary = logits.shape[1] as number
  const chosen = gather(logits, graph.constant("int64", [rows.length], [...rows]))
  const ids = graph.constant("int64", [rows.length, 1], [...tokens])
  const logs = reshape(gatherElements(logSoftmax(chosen), ids, 1), [rows.length])
  const own = gatherElements(chosen, ids, 1)
  const before = reduceSum(cast(less(own, chosen), "float32"), 1, false)
  const number = (value: number) => graph.scalar("float32", value)
  const zero = multiply(before, number(0))
  const likely = lessOrEqual(before, number(window))
  const unlikely = lessOrEqual(number(vocabulary - window), add(before, number(1)))
  const terms = where(likely, logs, where(unlikely, negate(logs), zero))
  const outside = where(likely, add(zero, number(1)), where(unlikely, add(zero, number(1)), zero))
  const all = (x: Value) => reduceSum(x, 0, false)
  return { sum: all(terms), exposed: all(outside) }
}
