/** Keys and values of a drafter's one layer: rows of the text first, then rows of the draft in hand. */

export interface DraftCache {
  readonly length: number
  /** [length, width] */
  readonly keys: Float32Array
  readonly values: Float32Array
  append(keys: Float32Array, values: Float32Array): void
  /** Drops all but the first `length` rows. */
  rewind(length: number): void
}

/** @param width numbers in a row */
export function createDraftCache(width: number): DraftCache {
  let length = 0
  let [keys, values] = [new Float32Array(64 * width), new Float32Array(64 * width)]
  const grown = (old: Float32Array, size: number) => {
    const wider = new Float32Array(size)
    wider.set(old.subarray(0, length * width))
    return wider
  }
  return {
    get length() {
      return length
    },
    get keys() {
      return keys.subarray(0, length * width)
    },
    get values() {
      return values.subarray(0, length * width)
    },
    append(newKeys, newValues) {
      const end = length * width + newKeys.length
      if (end > keys.length) [keys, values] = [grown(keys, 2 * end), grown(values, 2 * end)]
      keys.set(newKeys, length * width)
      values.set(newValues, length * width)
      length = end / width
    },
    rewind(to) {
      length = Math.min(length, to)
    },
  }
}
