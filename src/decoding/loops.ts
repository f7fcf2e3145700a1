/** Answers that go round in circles: easy to draft, so they are told apart in measurements and left out of training. */

const gram = 12
const seen = 3

/** Whether an answer goes round in circles: some 12 tokens in a row occur three times. */
export function isLoop(tokens: readonly number[]): boolean {
  const counts = new Map<string, number>()
  for (let start = 0; start + gram <= tokens.length; start++) {
    const key = tokens.slice(start, start + gram).join()
    const count = (counts.get(key) ?? 0) + 1
    if (count === seen) return true
    counts.set(key, count)
  }
  return false
}
