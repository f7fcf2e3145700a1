/** Byte-pair merging in n log n: symbols in a linked list, candidate pairs in a heap, best priority first, leftmost on ties. */

/** What may be merged. */
export interface MergeTable {
  /** Id of one character, or -1 when the vocabulary lacks it. */
  symbol(character: string): number
  /**
   * Looks up the pair whose ids are `left` and `right` (-1 = unknown) and whose joint text is word[start, end).
   * Returns a pair number, or -1 when the two do not merge.
   */
  find(left: number, right: number, word: string, start: number, end: number): number
  /** Lower priorities merge first. */
  priority(pair: number): number
  /** The id that the pair becomes. */
  merged(pair: number): number
}

/** Merges one word until no pair is left; `emit` gets its pieces from left to right (id -1 = a character without a token). */
export function mergeWord(
  word: string,
  table: MergeTable,
  emit: (id: number, start: number, end: number) => void,
): void {
  const starts: number[] = []
  const ids: number[] = []
  for (let at = 0; at < word.length; ) {
    const size = word.codePointAt(at)! > 0xffff ? 2 : 1
    starts.push(at)
    ids.push(table.symbol(word.slice(at, at + size)))
    at += size
  }
  const count = starts.length
  const next = new Int32Array(count) // `count` = none, -1 = merged away
  const previous = new Int32Array(count) // -1 = none
  const ends = new Int32Array(count)
  for (let i = 0; i < count; i++) {
    next[i] = i + 1
    previous[i] = i - 1
    ends[i] = i + 1 < count ? starts[i + 1]! : word.length
  }
  const heap = createHeap()
  const offer = (left: number, right: number): void => {
    const end = ends[right]!
    const pair = table.find(ids[left]!, ids[right]!, word, starts[left]!, end)
    if (pair >= 0) heap.push({ priority: table.priority(pair), left, end, pair })
  }
  for (let i = 0; i + 1 < count; i++) offer(i, i + 1)
  for (let top = heap.pop(); top !== undefined; top = heap.pop()) {
    const { left, end, pair } = top
    const right = next[left]!
    // Borders only vanish, so a pair still stands exactly if its left symbol lives and two symbols still fill its span.
    if (right < 0 || right >= count || ends[right] !== end) continue
    const after = next[right]!
    ids[left] = table.merged(pair)
    ends[left] = end
    next[left] = after
    next[right] = -1
    if (after < count) {
      previous[after] = left
      offer(left, after)
    }
    if (previous[left]! >= 0) offer(previous[left]!, left)
  }
  for (let i = 0; i < count; i = next[i]!) emit(ids[i]!, starts[i]!, ends[i]!)
}

interface Candidate {
  readonly priority: number
  readonly left: number
  readonly end: number
  readonly pair: number
}

const isBefore = (a: Candidate, b: Candidate): boolean =>
  a.priority < b.priority || (a.priority === b.priority && a.left < b.left)

function createHeap() {
  const items: Candidate[] = []
  return {
    push(item: Candidate): void {
      let at = items.length
      items.push(item)
      while (at > 0) {
        const parent = (at - 1) >> 1
        if (!isBefore(item, items[parent]!)) break
        items[at] = items[parent]!
        at = parent
      }
      items[at] = item
    },
    pop(): Candidate | undefined {
      const top = items[0]
      const last = items.pop()
      if (last === undefined || items.length === 0) return top
      let at = 0
      for (let child = 1; child < items.length; child = 2 * at + 1) {
        if (child + 1 < items.length && isBefore(items[child + 1]!, items[child]!)) child++
        if (!isBefore(items[child]!, last)) break
        items[at] = items[child]!
        at = child
      }
      items[at] = last
      return top
    },
  }
}
