/** Finding the way back into an expected text, letter by letter. */
import { describe, expect, test } from "vitest"
import { randomTokens } from "../../../test/support/tiny-model.ts"
import { createFollower, findPlace } from "./prediction-follower.ts"

const codes = (text: string) => [...text].map((c) => c.charCodeAt(0))

/** What is expected after this answer; "lost" when nothing is. */
function rest(prediction: string, answer: string, most = 5): string {
  const follower = createFollower(codes(prediction))
  follower.read(codes(answer))
  const place = follower.place()
  return place ? prediction.slice(place.at, place.at + most) : "lost"
}

const alphabet = "abcdefghijklmnopqrstuvwxyz"

describe("following", () => {
  test.each([
    ["at the start the whole text is expected", "", "abcde"],
    ["as it goes on", "abc", "defgh"],
    ["to the end", "abcdefghijklmnopqrstuvwxyz", ""],
    ["lost at a token that is nowhere", "abc#", "lost"],
    ["one token replaced: back after one that agrees in step", "abc#e", "fghij"],
    ["several replaced", "abc###gh", "ijklm"],
    ["tokens inserted: back where it was left", "abc####de", "fghij"],
    ["tokens left out", "abcghi", "jklmn"],
    ["one left out: a token alone, but the only one near", "abce", "fghij"],
    ["replaced by fewer", "abc#hi", "jklmn"],
    ["replaced by more", "abc#####ef", "ghijk"],
    ["a beginning that was not expected", "####ab", "cdefg"],
    ["going back to what was passed", "abcdefghijkabc", "defgh"],
  ])("%s", (_, answer, expected) => {
    expect(rest(alphabet, answer)).toBe(expected)
  })

  test("one token at a time or many at once: the same place", () => {
    const answer = codes("abc##efgh#jkl")
    const [one, all] = [createFollower(codes(alphabet)), createFollower(codes(alphabet))]
    all.read(answer)
    for (const token of answer) one.read([token])
    expect(one.place()).toEqual(all.place())
    expect(one.place()).toEqual({ at: 12, agreed: 3 })
  })

  test("an empty prediction expects nothing", () => {
    const follower = createFollower([])
    expect(follower.place()).toEqual({ at: 0, agreed: 0 })
    follower.read([1, 2])
    expect(follower.place()).toBeUndefined()
  })
})

describe("findPlace", () => {
  const find = (prediction: string, answer: string, at: number, since: number) =>
    findPlace(codes(prediction), codes(answer), { at, since })

  test("the longest match, not the nearest", () => {
    expect(find("xyab1....xyzab2", "?zab", 5, 1)).toEqual({ at: 14, agreed: 3 })
  })

  test("of equal ones the nearest to where the answer would be", () => {
    expect(find("ab1...ab2...ab3", "#ab", 6, 3)).toEqual({ at: 8, agreed: 2 })
    expect(find("ab1...ab2...ab3", "#ab", 12, 3)).toEqual({ at: 14, agreed: 2 })
  })

  test("a token alone that occurs more than once near is no place, except in step", () => {
    expect(find("ab(c(d(e", "#(", 5, 4)).toBeUndefined()
    expect(find("ab(c(d(e", "#(", 3, 2)).toEqual({ at: 5, agreed: 1 })
  })

  test("far away, more has to agree", () => {
    const filler = ".".repeat(200)
    expect(find(`${filler}abcdX`, "#cd", 3, 3)).toBeUndefined()
    expect(find(`${filler}abcdX`, "#abcd", 3, 5)).toEqual({ at: 204, agreed: 4 })
  })

  test("whatever the texts: what stands before the place is the answer's end", () => {
    for (let seed = 0; seed < 300; seed++) {
      const prediction = randomTokens(40, 4, seed)
      const answer = randomTokens(1 + (seed % 30), 4, seed + 1000)
      const place = findPlace(prediction, answer, { at: seed % 40, since: 1 + (seed % 5) })
      if (!place) continue
      expect(place.at).toBeLessThan(prediction.length)
      expect(prediction.slice(place.at - place.agreed, place.at)).toEqual(answer.slice(answer.length - place.agreed))
    }
  })
})
