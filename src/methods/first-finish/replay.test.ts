/** The specification's real traces (DeepSeek-R1, AIME 2025 I): its expectations, to the digit; ties, hindsight, costs. */
import { describe, expect, test } from "vitest"
import { anyCorrect, type Problem, replay, replayProblem } from "./replay.ts"
import { type ChoiceRule, choose, oneByOneTokens, type Trace } from "./vote.ts"

// tokens:answer of eight samples a problem, "-" where no answer was found (Aradhye2002/art_of_tts, results/vanilla/R1).
const table = `
gold 70  1707:70 2060:70 2489:70 4039:70 3304:70 2844:70 2124:70 3050:70
gold 588 9856:588 9267:588 14238:504 12421:300 10813:588 11342:588 6739:588 7297:588
gold 16  2838:16 2899:16 2908:16 2769:16 2600:16 2355:16 3178:16 3784:16
gold 117 4916:117 5299:117 4482:117 5284:117 3849:117 3523:117 4004:117 4064:117
gold 279 8120:279 10356:279 9844:279 10960:279 12791:279 9331:- 8656:279 6075:279
gold 504 2717:504 3875:504 2999:504 2532:504 2673:504 2505:504 2935:504 2467:504
gold 821 9706:271 6709:271 32000:239 6779:271 12824:239 8175:239 7168:271 11370:271
gold 77  2494:37 2218:77 3609:77 2517:77 2780:77 2702:77 3073:77 3294:77
gold 62  8135:62 32000:- 25841:62 32000:- 10115:62 10594:62 10787:62 8538:62
gold 81  5245:81 32000:79 12201:74 32000:- 16651:59 15018:92 16093:45 16981:60
gold 259 32000:- 28109:343 9051:23 32000:- 22694:309 17121:259 9775:259 15785:259
gold 510 11662:510 15512:679 15029:510 31893:510 12184:510 20457:341 12302:510 15419:510
gold 204 32000:- 32000:- 32000:- 32000:- 16238:69 17284:- 24336:- 23208:127
gold 60  32000:- 32000:- 29876:47 29876:47 16177:47 16568:47 15410:67 21616:87
gold 735 11671:707 14149:147 30403:147 15631:707 14304:683 13279:147 17989:147 15074:147
`
const problems: Problem[] = table
  .trim()
  .split("\n")
  .map((line) => {
    const [, gold, ...cells] = line.split(/\s+/)
    const traces = cells.map((cell): Trace => {
      const [length, answer] = cell.split(":")
      const finished = Number(length) < 32000
      return { length: Number(length), finished, ...(answer === "-" ? {} : { answer }) }
    })
    return { gold: gold!, traces }
  })

const first = (count: number): ChoiceRule => ({ keep: "first", count, requireAnswer: true })
const last = (count: number): ChoiceRule => ({ keep: "last", count, requireAnswer: true })
const percent = (value: number) => (100 * value).toFixed(2)

describe("fifteen problems, eight traces each", () => {
  test("accuracies", () => {
    expect(problems).toHaveLength(15)
    expect(percent(replay(problems, 1, first(1)).accuracy)).toBe("56.67")
    expect(percent(replay(problems, 8, first(1)).accuracy)).toBe("66.67")
    expect(percent(replay(problems, 8, first(3)).accuracy)).toBe("73.33")
    expect(percent(replay(problems, 8, first(8)).accuracy)).toBe("73.33")
    expect(percent(replay(problems, 8, last(1)).accuracy)).toBe("53.33")
    expect(percent(anyCorrect(problems))).toBe("73.33")
  })

  test("costs: what the losers decoded is counted", () => {
    const race = replay(problems, 8, first(1))
    expect([race.sequentialTokens, race.totalTokens].map(Math.round)).toEqual([7280, 58243])
    const all = replay(problems, 8, first(8))
    expect([all.sequentialTokens, all.totalTokens].map(Math.round)).toEqual([20129, 99925])
    // Counting the winner alone, as published, would be off by the number of lanes.
    expect(race.totalTokens / race.sequentialTokens).toBeGreaterThan(7.9)
  })

  test("keeping all first is keeping all last, and no rule decodes less in sequence than the first finish", () => {
    const rules = [first(3), first(8), last(1), last(3)]
    const least = replay(problems, 8, first(1)).sequentialTokens
    for (const rule of rules) expect(replay(problems, 8, rule).sequentialTokens).toBeGreaterThanOrEqual(least)
    expect(replay(problems, 8, last(8)).accuracy).toBe(replay(problems, 8, first(8)).accuracy)
  })

  test("subsets: of one is the plain mean; of two follows by hand", () => {
    // Two of (10, right), (20, wrong), (30, right): the shorter of each pair decides.
    const traces = [10, 20, 30].map((length, i): Trace => ({ length, answer: i === 1 ? "b" : "a", finished: true }))
    expect(replayProblem({ gold: "a", traces }, 2, first(1))).toEqual({
      accuracy: 2 / 3,
      sequentialTokens: (10 + 10 + 20) / 3,
      totalTokens: (20 + 20 + 40) / 3,
    })
    expect(() => replay(problems, 9, first(1))).toThrow(expect.objectContaining({ code: "E_INPUT" }))
  })
})

describe("choosing", () => {
  const rows = (...cells: [number, string | undefined][]): Trace[] =>
    cells.map(([length, answer]) => ({ length, answer, finished: true }))

  test("equal lengths at the cut are all heard, the first decides a tie", () => {
    const traces = rows([10, "A"], [10, "B"], [12, "B"])
    expect(choose(traces, first(1))).toMatchObject({
      voters: [0, 1],
      answer: "A",
      sequentialTokens: 10,
      totalTokens: 30,
    })
    expect(choose(traces, first(2))).toMatchObject({ voters: [0, 1], answer: "A" })
    expect(choose(traces, first(3))).toMatchObject({ voters: [0, 1, 2], answer: "B" })
  })

  test("without hindsight the first finish counts, answer or not; a lane cut off never does", () => {
    const traces: Trace[] = [
      { length: 5, finished: true },
      { length: 9, answer: "A", finished: true },
      { length: 7, answer: "B", finished: false },
    ]
    const honest: ChoiceRule = { keep: "first", count: 1, requireAnswer: false }
    expect(choose(traces, honest)).toMatchObject({
      voters: [0],
      answer: undefined,
      sequentialTokens: 5,
      totalTokens: 15,
    })
    expect(choose(traces, { ...honest, count: 2 })).toMatchObject({ voters: [0, 1], answer: "A", sequentialTokens: 9 })
    expect(choose(traces, first(1))).toMatchObject({ voters: [2], answer: "B" })
    const none = choose([{ length: 7, finished: false }], honest)
    expect(none).toEqual({ voters: [], answer: undefined, sequentialTokens: 7, totalTokens: 7 })
  })

  test("the small cost golden: 5, 9 and 7 tokens", () => {
    const traces = rows([5, "a"], [9, "b"], [7, "c"])
    expect(choose(traces, first(1))).toMatchObject({ sequentialTokens: 5, totalTokens: 15 })
    expect(choose(traces, first(2))).toMatchObject({ sequentialTokens: 7, totalTokens: 19 })
    expect(choose(traces, first(3))).toMatchObject({ sequentialTokens: 9, totalTokens: 21 })
    expect(choose(traces, last(1))).toMatchObject({ voters: [1], answer: "b", sequentialTokens: 9, totalTokens: 21 })
    expect([oneByOneTokens([5, 9, 7]), oneByOneTokens([9, 5, 7])]).toEqual([15, 19])
  })
})
