/** A hostile input: what is wrong with it, how to write it, and what has to come of it. */

export interface Mutant {
  readonly name: string
  /** Writes it below an empty folder and returns the path to open. */
  readonly write: (folder: string) => string
  /** "refused": a typed error is required. "either": opening it soundly is fine too. "opens": it is honest. */
  readonly outcome: "refused" | "either" | "opens"
}

/** A small seeded generator, so that the corpus is the same everywhere. @returns integers in [0, below) */
export function seeded(seed: number): (below: number) => number {
  let state = seed >>> 0 || 1
  return (below) => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % below
  }
}

/** Copies of `bytes` with one to four random changes within the first `reach` bytes. */
export function scrambled(
  bytes: Buffer,
  reach: number,
  count: number,
  seed: number,
): { label: string; bytes: Buffer }[] {
  const pick = seeded(seed)
  const interesting = [0, 1, 4, 8, 9, 127, 128, 255]
  return Array.from({ length: count }, (_, index) => {
    const copy = Buffer.from(bytes)
    const changes = 1 + pick(4)
    for (let change = 0; change < changes; change++) {
      const at = pick(reach)
      const value = pick(3) === 0 ? interesting[pick(interesting.length)]! : pick(256)
      copy[at] = value
    }
    return { label: `scramble ${index}`, bytes: copy }
  })
}
