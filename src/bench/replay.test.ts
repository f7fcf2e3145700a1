/** Replayed answers: rounds by hand, the same rounds as on a model, and texts that are built to mislead. */
import { describe, expect, test } from "vitest"
import { runMethod } from "../../test/support/method-harness.ts"
import { contractModel, seeded, tinyCheckpoint } from "../../test/support/tiny-model.ts"
import { createSpeculationTally } from "../decoding/speculation-report.ts"
import { auto } from "../methods/auto/auto.ts"
import { predictedOutput } from "../methods/predicted-output/predicted-output.ts"
import { promptLookup } from "../methods/prompt-lookup/prompt-lookup.ts"
import { loadRunner } from "../runtime/load-runner.ts"
import { tinyTokenizerJson } from "../text/test-sources.ts"
import { createTokenizer } from "../text/tokenizer.ts"
import { type RecordedAnswer, replay, summariseReplay } from "./replay.ts"

const checkpoint = tinyCheckpoint({ ...contractModel, context: 4000 })
const cost = (rows: number) => 1 + 0.1 * (rows - 1)
const tokenizer = createTokenizer({ kind: "tokenizer.json", json: tinyTokenizerJson() })
const settings = { config: checkpoint.config, tokenizer, believed: cost }

test("rounds are those of the same method on the model that gave the answer", async () => {
  const target = await loadRunner(checkpoint, { weights: "f32", threads: 1, device: "cpu" })
  const prompt = [3, 1, 4, 1, 5]
  for (const method of [promptLookup, auto, predictedOutput]) {
    const prediction = Array.from({ length: 60 }, (_, i) => i % 7)
    const asked = { prompt, maxTokens: 140, cost, ...(method.prediction ? { prediction } : {}) }
    const { steps, outcome } = await runMethod(method, { target }, asked)
    const tally = createSpeculationTally()
    for (const step of steps) tally.add(step)
    const answer = outcome.tokens.map(({ id }) => id)
    const rounds = await replay(method, { id: 1, source: "", prompt, answer, prediction }, settings)
    const { rounds: count, drafted, accepted } = tally.report()!
    expect(rounds).toHaveLength(count)
    expect(rounds.reduce((sum, { rows }) => sum + rows - 1, 0)).toBe(drafted)
    expect(rounds.reduce((sum, { tokens }) => sum + tokens, 0)).toBe(answer.length - 1)
    expect(accepted + count).toBeGreaterThanOrEqual(answer.length - 1)
  }
  await target.dispose()
})

test("a summary weighs answers by their length, and knows the worst", () => {
  const good = [{ rows: 3, tokens: 3 }]
  const bad = [
    { rows: 2, tokens: 1 },
    { rows: 1, tokens: 1 },
  ]
  const found = summariseReplay("task", [good, bad, []], { actual: cost, overhead: 0.05 })
  expect(found).toMatchObject({ source: "task", answers: 3, below: 1 })
  expect(found.meanAcceptedLength).toBeCloseTo(5 / 3, 12)
  expect(found.draftedPerRound).toBeCloseTo(1, 12)
  expect(found.speedup).toBeCloseTo(5 / (1.25 + 1.15 + 1.05), 12)
  expect(found.worst).toBeCloseTo(2 / 2.2, 12)
})

describe("texts that are built to mislead", () => {
  const random = seeded(3)
  const any = (count: number) => 1 + Math.floor(random() * count)
  /** Each token is one that never followed the one before it, as long as there is such a token. */
  function neverAgain(length: number, vocabulary: number): number[] {
    const followers = new Map<number, Set<number>>()
    const text = [1]
    while (text.length < length) {
      const seen = followers.get(text.at(-1)!) ?? new Set()
      followers.set(text.at(-1)!, seen)
      let next = any(vocabulary)
      while (seen.has(next) && seen.size < vocabulary) next = any(vocabulary)
      seen.add(next)
      text.push(next)
    }
    return text
  }
  /** The same beginnings with other ends: each match is broken where a long one would be sure. */
  const brokenMatches = (length: number, run: number) =>
    Array.from({ length }, (_, i) => (i % run === run - 1 ? 20 + any(19) : 1 + (i % run)))

  const texts: readonly (readonly [string, readonly number[]])[] = [
    ["no pair occurs twice", neverAgain(900, 38)],
    ["no pair occurs twice, few tokens", neverAgain(400, 20)],
    ["matches of two break", brokenMatches(900, 3)],
    ["matches of four break", brokenMatches(900, 5)],
    ["two tokens by chance", Array.from({ length: 900 }, () => any(2))],
    ["twenty tokens by chance", Array.from({ length: 900 }, () => any(20))],
  ]
  test.each(texts)("%s: never below 0.98", async (_, text) => {
    for (const slope of [0.03, 0.1, 0.2, 0.35])
      for (const length of [64, 200]) {
        const actual = (rows: number) => 1 + slope * (rows - 1)
        const answer: RecordedAnswer = {
          id: 1,
          source: "",
          prompt: text.slice(0, 150),
          answer: text.slice(150, 150 + length),
        }
        const rounds = await replay(auto, answer, { ...settings, believed: actual })
        expect(summariseReplay("", [rounds], { actual, overhead: 0 }).speedup).toBeGreaterThan(0.98)
      }
  })
})
