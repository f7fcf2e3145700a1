/** Packs of answers, anchors and their masks, by hand. */
import { describe, expect, test } from "vitest"
import { createRandom } from "../../tensor/random.ts"
import { maskOfPack, packSequences, rowsOfPack, type Sequence, samplePseudoRows } from "./packs.ts"

const sequence = (first: number, count: number, answerFrom: number): Sequence => ({
  tokens: Array.from({ length: count }, (_, i) => first + i),
  answerFrom,
})

describe("packSequences", () => {
  test("fills samples in order and cuts the last one", () => {
    const packs = packSequences([sequence(0, 30, 5), sequence(100, 40, 10), sequence(200, 50, 20)], 60)
    expect(packs.map((pack) => pack.map(({ tokens }) => [tokens[0], tokens.length]))).toEqual([
      [
        [0, 30],
        [100, 30],
      ],
      [[200, 50]],
    ])
  })

  test("leaves out what has too short an answer or too long a prompt, and a last sample that is mostly empty", () => {
    expect(packSequences([sequence(0, 20, 10)], 60)).toEqual([]) // 10 tokens of an answer
    expect(packSequences([sequence(0, 90, 50)], 60)).toEqual([])
    expect(packSequences([sequence(0, 25, 5)], 60)).toEqual([])
  })
})

describe("a sample of two sequences", () => {
  // Rows 0…3: a prompt of 3 and one token; rows 4…8: a prompt of 2 and three tokens; row 9 is not used.
  const rows = rowsOfPack([sequence(10, 4, 3), sequence(20, 5, 2)], 10)

  test("tokens, positions, and anchors whose first draft is part of an answer and known", () => {
    expect([...rows.tokens]).toEqual([10, 11, 12, 13, 20, 21, 22, 23, 24, 0])
    expect([...rows.positions]).toEqual([0, 1, 2, 3, 0, 1, 2, 3, 4, 0])
    // Row 1 drafts token 3 of the first, the only one of its answer; rows 4, 5, 6 draft tokens 2, 3, 4 of the second.
    expect(rows.anchors).toEqual([1, 4, 5, 6])
  })

  test("each row sees its own sequence up to itself", () => {
    const mask = maskOfPack(rows)
    const seen = (row: number) => Array.from({ length: 10 }, (_, i) => i).filter((i) => mask[row * 10 + i] === 0)
    expect(seen(3)).toEqual([0, 1, 2, 3])
    expect(seen(4)).toEqual([4])
    expect(seen(8)).toEqual([4, 5, 6, 7, 8])
    expect(seen(9)).toEqual([9])
  })

  test("pseudo rows: what they see, where they stand, whom they are to agree with", () => {
    const found = samplePseudoRows(rows, { count: 4, steps: 2 }, createRandom(3))
    expect([...found.anchors].sort()).toEqual([1, 4, 5, 6])
    const columns = 10 + 8
    for (let row = 0; row < 8; row++) {
      const [step, at] = [row < 4 ? 1 : 2, row % 4]
      const anchor = found.anchors[at]!
      const own = step === 1 ? [10 + at] : [10 + at, 14 + at]
      const before = Array.from({ length: 10 }, (_, i) => i).filter((i) => i >= (anchor < 4 ? 0 : 4) && i <= anchor)
      const seen = Array.from({ length: columns }, (_, i) => i).filter((i) => found.mask[row * columns + i] === 0)
      expect(seen).toEqual([...before, ...own])
      expect(found.positions[row]).toBe(rows.positions[anchor]! + step)
      const last = anchor < 4 ? 3 : 8
      const isKnown = anchor + step + 1 <= last
      expect(found.weights[row]).toBe(isKnown ? 1 : 0)
      if (!isKnown) continue
      // P_j stands at n + j and tells of token n + j + 1.
      expect(found.teachers[row]).toBe(anchor + step)
      expect(found.labels[row]).toBe(rows.tokens[anchor + step + 1])
    }
    expect(found.weights.reduce((sum, one) => sum + one)).toBe(4 + 2) // step 2 of anchors 1 and 6 has no token
  })

  test("anchors that are not there stand in without weight", () => {
    const found = samplePseudoRows(rows, { count: 6, steps: 1 }, createRandom(3))
    expect([...found.weights]).toEqual([1, 1, 1, 1, 0, 0])
    const none = rowsOfPack([], 10)
    expect(samplePseudoRows(none, { count: 2, steps: 2 }, createRandom(1)).weights).toEqual(new Float32Array(4))
  })
})
