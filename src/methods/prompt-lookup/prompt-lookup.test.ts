/** Prompt lookup: what is copied, by hand; the method contract; and how much it saves on a text that repeats. */
import { describe, expect, test } from "vitest"
import { methodContract } from "../../../test/method-contract.ts"
import { runMethod } from "../../../test/support/method-harness.ts"
import { contractModel, randomTokens, tinyCheckpoint } from "../../../test/support/tiny-model.ts"
import { type LookupOptions, lookUp } from "../../decoding/drafters/lookup-drafter.ts"
import { createSpeculationTally } from "../../decoding/speculation-report.ts"
import { loadRunner } from "../../runtime/load-runner.ts"
import { promptLookup } from "./prompt-lookup.ts"

methodContract(promptLookup, {
  optionSets: [{}, { shortestMatch: 1, draftLength: 40, perMatch: 20, prefer: "leftmost" }],
})

describe("lookUp", () => {
  const options: LookupOptions = { longest: 5, shortest: 1, perMatch: 10, leftmost: false }
  const copy = (text: string, most = 10, more: Partial<LookupOptions> = {}) =>
    String.fromCharCode(
      ...lookUp(
        [...text].map((c) => c.charCodeAt(0)),
        most,
        { ...options, ...more },
      ).copied,
    )

  test.each([
    ["nothing before it", "abcdef", ""],
    ["one token alone", "a", ""],
    ["the longest match wins over a later one", "xabcde.yc!.abc", "de.yc!.abc"],
    ["of equally long ones the latest", "ab1xyz0ab2xyzqrstuvw-ab", "2xyzqrstuv"],
    ["a continuation that ends with the text is cut there", "zz abc ab", "c ab"],
    ["a loop is copied from where there is enough to copy", "aaaaaaaaaaaaaaaa", "aaaaaaaaaa"],
    ["a match may overlap the end", "xyxyxyx", "yxyx".slice(0, 2)],
  ])("%s", (_, text, expected) => {
    expect(copy(text)).toBe(expected)
  })

  test("the options: leftmost, shortest match, length by match, longest draft", () => {
    expect(copy("ab1xyz0ab2xyz-ab", 3, { leftmost: true })).toBe("1xy")
    expect(copy("ab1xyz0ab2xyz-ab", 3)).toBe("2xy")
    expect(copy("ab1xyz0b", 9, { shortest: 2 })).toBe("")
    expect(copy("ab1xyz0ab", 9, { perMatch: 2 })).toBe("1xyz")
    expect(copy("ab1xyz0ab", 3)).toBe("1xy")
  })

  test("never reads past the end, whatever the text", () => {
    for (let seed = 0; seed < 300; seed++) {
      const tokens = randomTokens(2 + (seed % 60), 3, seed)
      const { copied: found } = lookUp(tokens, 10, { ...options, leftmost: seed % 2 === 0 })
      expect(found.length).toBeLessThanOrEqual(10)
      // What is copied stands in the text, behind a copy of its last token.
      const text = `,${tokens.join()},`
      expect(found.length === 0 || text.includes(`,${[tokens.at(-1), ...found].join()},`)).toBe(true)
    }
  })
})

test("fewer passes on a text that repeats, counted by the runner", async () => {
  const checkpoint = tinyCheckpoint({ ...contractModel, seed: 21 })
  const target = await loadRunner(checkpoint, { weights: "f32", threads: 1, device: "cpu" })
  const before = target.ledger.totals()
  const { steps, outcome } = await runMethod(promptLookup, { target }, { maxTokens: 200 })
  const { passes } = target.ledger.since(before)
  const tally = createSpeculationTally()
  for (const step of steps) tally.add(step)
  const report = tally.report()!
  await target.dispose()
  // One pass reads the prompt and gives the first token, each round is one pass more.
  expect(report.rounds).toBe(passes - 1)
  expect(Math.round(report.meanAcceptedLength * report.rounds)).toBe(outcome.tokens.length - 1)
  expect(report.histogram.reduce((sum, rounds) => sum + rounds, 0)).toBe(report.rounds)
  expect(report.histogram.reduce((sum, rounds, accepted) => sum + rounds * accepted, 0)).toBe(report.accepted)
  expect(report.meanAcceptedLength).toBeGreaterThan(1.5) // so small a model soon runs in circles
})

test("a row that costs nothing is drafted, one as dear as a pass is not", async () => {
  const checkpoint = tinyCheckpoint({ ...contractModel, seed: 21 })
  const target = await loadRunner(checkpoint, { weights: "f32", threads: 1, device: "cpu" })
  const drafted = async (cost: (rows: number) => number) => {
    const { steps } = await runMethod(promptLookup, { target }, { maxTokens: 100, cost })
    return steps.reduce((sum, step) => sum + (step.type === "draft-proposed" ? step.tree.tokens.length : 0), 0)
  }
  const [free, usual, dear] = [await drafted(() => 1), await drafted((n) => 1 + 0.1 * (n - 1)), await drafted((n) => n)]
  await target.dispose()
  expect(dear).toBe(0)
  expect(usual).toBeGreaterThan(0)
  expect(free).toBeGreaterThan(usual)
})
