/** Typed arrays end to end. */

interface Typed<T> {
  readonly length: number
  set(part: T, at: number): void
}

/** The parts in order, in one new array of the kind `make` makes. */
export function concatenate<T extends Typed<T>>(parts: readonly T[], make: new (length: number) => T): T {
  const all = new make(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    all.set(part, at)
    at += part.length
  }
  return all
}
