/** The reduced vocabulary of drafts: what is taken, how it is kept and read. */
import { expect, test } from "vitest"
import { draftVocabulary } from "../decoding/method-part.ts"
import { chooseVocabulary, coverage, placesOf, vocabularyTensor } from "./vocabulary.ts"

const answers = [
  { prompt: [1, 1, 9], answer: [5, 5, 5, 7] },
  { prompt: [9, 9, 2], answer: [7, 8] },
]

test("answers first by count, then prompts, then broad text, then the lowest ids; ascending", () => {
  const of = (size: number) => [...chooseVocabulary(answers, { size, vocabulary: 20, broad: [15, 14, 14] })]
  expect(of(1)).toEqual([5])
  expect(of(2)).toEqual([5, 7])
  expect(of(3)).toEqual([5, 7, 8])
  expect(of(4)).toEqual([5, 7, 8, 9])
  expect(of(6)).toEqual([1, 2, 5, 7, 8, 9])
  expect(of(7)).toEqual([1, 2, 5, 7, 8, 9, 14])
  expect(of(10)).toEqual([0, 1, 2, 3, 5, 7, 8, 9, 14, 15])
  expect(of(20)).toHaveLength(20)
  expect(() => of(21)).toThrow(expect.objectContaining({ code: "E_OPTION" }))
})

test("places and coverage", () => {
  const chosen = Int32Array.of(5, 8)
  expect([...placesOf(chosen, 10)]).toEqual([-1, -1, -1, -1, -1, 0, -1, -1, 1, -1])
  expect(coverage(chosen, answers)).toBeCloseTo(4 / 6, 12)
})

test("is read again from a part, and refused where it is none", () => {
  const { shape, values, type } = vocabularyTensor(Int32Array.of(3, 30_001, 49_151))
  expect(type).toBe("F32")
  const read = (tensor: { shape: readonly number[]; values: Float32Array } | undefined) =>
    draftVocabulary({
      tensors: new Map(tensor ? [["vocabulary", tensor]] : []),
      target: { config: { vocabulary: 49_152 } },
    })
  expect([...read({ shape, values })!]).toEqual([3, 30_001, 49_151])
  expect(read(undefined)).toBeUndefined()
  for (const bad of [[1.5], [-1], [49_152], [4, 4]])
    expect(() => read({ shape: [bad.length], values: Float32Array.from(bad) })).toThrow(
      expect.objectContaining({ code: "E_MODEL_FORMAT" }),
    )
})
