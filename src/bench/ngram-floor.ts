/** What tables of the training text alone would draft: the floor that trained drafters have to clear. Pure. */
import type { RecordedAnswer } from "./replay.ts"

/** Counts of what came behind contexts of up to `order - 1` tokens. */
export class NgramTable {
  readonly #order: number
  readonly #counts = new Map<string, Map<number, number>>()

  /** @param order 2: bigrams; 4: back-off from three tokens to one */
  constructor(order: number, texts: Iterable<readonly number[]>) {
    this.#order = order
    for (const text of texts)
      for (let at = 1; at < text.length; at++)
        for (let length = 1; length < order && length <= at; length++) {
          const key = text.slice(at - length, at).join()
          const counts = this.#counts.get(key) ?? new Map<number, number>()
          counts.set(text[at]!, (counts.get(text[at]!) ?? 0) + 1)
          this.#counts.set(key, counts)
        }
  }

  /** Behind the longest context that was seen: tokens and their shares, most frequent first. */
  guesses(text: readonly number[]): readonly (readonly [token: number, share: number])[] {
    for (let length = Math.min(this.#order - 1, text.length); length >= 1; length--) {
      const counts = this.#counts.get(text.slice(-length).join())
      if (!counts) continue
      const all = [...counts.values()].reduce((sum, count) => sum + count, 0)
      return [...counts].map(([token, count]) => [token, count / all] as const).sort((a, b) => b[1] - a[1])
    }
    return []
  }
}

interface Node {
  readonly text: readonly number[]
  readonly worth: number
}

/** The likeliest `nodes` continuations, as texts: each stands behind its own beginning. `width` 1 gives a line. */
function continuations(table: NgramTable, text: readonly number[], { nodes, width }: FloorTree): Node[] {
  const found: Node[] = []
  const open: Node[] = [{ text, worth: 1 }]
  const expand = ({ text: above, worth }: Node) => {
    for (const [token, share] of table.guesses(above).slice(0, width))
      open.push({ text: [...above, token], worth: worth * share })
  }
  expand(open.pop()!)
  while (found.length < nodes && open.length > 0) {
    const best = open.reduce((a, b, i) => (b.worth > open[a]!.worth ? i : a), 0)
    const [node] = open.splice(best, 1)
    found.push(node!)
    expand(node!)
  }
  return found
}

export interface FloorTree {
  /** Drafted tokens of a round. */
  readonly nodes: number
  /** Guesses below each; 1: a line. */
  readonly width: number
}

export interface FloorRounds {
  /** Committed over all rounds. */
  readonly tokens: number
  readonly rounds: number
}

/** An answer decoded with the table's drafts, each verified as a decoder would. */
export function floorOf(table: NgramTable, { prompt, answer }: RecordedAnswer, tree: FloorTree): FloorRounds {
  const text = [...prompt, ...answer]
  const start = prompt.length + 1 // the first token comes out of the prompt's pass
  let [at, rounds] = [start, 0]
  while (at < text.length) {
    const drafts = new Set(continuations(table, text.slice(0, at), tree).map((node) => node.text.slice(at).join()))
    let accepted = 0
    while (at + accepted < text.length && drafts.has(text.slice(at, at + accepted + 1).join())) accepted++
    at = Math.min(at + accepted + 1, text.length)
    rounds++
  }
  return { tokens: Math.max(0, text.length - start), rounds }
}
