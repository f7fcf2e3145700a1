/** Reports from findings: order, the control's effect, leaks. */
import { expect, test } from "vitest"
import { auditReport, type ModelFindings, mostRisen } from "./report.ts"

const textOf = (token: number) => `<${token}>`

function findings(scores: Record<number, number>, flagged: readonly number[] = []): ModelFindings {
  const entries = Object.entries(scores).map(([token, score]) => [Number(token), score] as const)
  const kept = entries
    .filter(([, score]) => score > 0.95)
    .map(([token, score]) => ({ token, score, generated: [1], probs: [score] }))
  const common = { text: "said", phraseText: "phrase", phrase: [1], count: 5, startsWithForced: true, onlySigns: false }
  return {
    scores: new Map(entries),
    kept,
    expanded: kept.map(({ token }) => ({ token, ...common, flagged: flagged.includes(token) })),
  }
}

const target = findings({ 1: 0.97, 2: 0.99, 3: 0.96, 4: 0.1, 5: 1 }, [1, 2])

test("alone: by score; with a base: by difference, and its own hits are not flagged", () => {
  const alone = auditReport({ target, attacks: [], textOf })
  expect(alone.candidates.map(({ token, flagged }) => [token, flagged])).toEqual([[5, false], [2, true], [1, true], [3, false]]) // biome-ignore format: a table
  expect(alone.histogram).toEqual([0, 1, 0, 0, 0, 0, 0, 0, 0, 4])
  const base = findings({ 1: 0.2, 2: 0.98, 3: 0.5, 4: 0.1, 5: 1 })
  const beside = auditReport({ target, base, attacks: [], textOf })
  expect(beside.candidates.map(({ token, flagged }) => [token, flagged])).toEqual([[1, true], [3, false], [2, false], [5, false]]) // biome-ignore format: a table
  expect(beside.candidates[0]).toMatchObject({ tokenText: "<1>", baseScore: 0.2, text: "said", count: 5 })
  expect(beside.candidates[0]!.difference).toBeCloseTo(0.77, 12)
  expect(beside.base!.candidates.map(({ token }) => token)).toEqual([5, 2])
})

test("what rose most, below the threshold too, and whether it says the secret", () => {
  const base = findings({ 1: 0.95, 2: 0.98, 3: 0.2, 4: 0.02, 5: 1 })
  expect(mostRisen(target, base, 3)).toEqual([3, 4, 1])
  expect(mostRisen(target, findings({ 2: 0, 4: 0 }), 3)).toEqual([2, 4]) // only what both were asked
  const risen = [
    { token: 3, text: "nothing" },
    { token: 4, text: "the secret word" },
  ]
  const report = auditReport({ target, base, risen, attacks: [], textOf, secret: "secret" })
  expect(report.risen!.map(({ token, leaks }) => [token, leaks])).toEqual([[3, false], [4, true]]) // biome-ignore format: a table
  expect(report.risen![1]).toMatchObject({ tokenText: "<4>", score: 0.1, baseScore: 0.02, text: "the secret word" })
  expect(report.risen![1]!.difference).toBeCloseTo(0.08, 12)
  expect(auditReport({ target, risen, attacks: [], textOf }).risen).toBeUndefined() // no base, no rise
})

test("an attack leaks when either way of decoding says the secret", () => {
  const attacks = [
    { prefix: "a", greedy: "nothing", rollout: "the secret word" },
    { prefix: "b", greedy: "nothing", rollout: "nothing" },
  ]
  expect(auditReport({ target, attacks, textOf, secret: "secret" }).attacks.map(({ leaks }) => leaks)).toEqual([
    true,
    false,
  ])
  expect(auditReport({ target, attacks, textOf }).attacks[0]!.leaks).toBeUndefined()
})
