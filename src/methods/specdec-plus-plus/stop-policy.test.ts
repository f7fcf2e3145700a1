/** When to stop: the rule itself, the theory's numbers, and what a head gains where acceptance varies, and only there. */
import { describe, expect, test } from "vitest"
import {
  costPerToken,
  type DraftedAnswer,
  discardRate,
  type ReplayCounts,
  replay,
  verificationRate,
} from "../../bench/draft-replay.ts"
import { type DraftBudget, fixedBudget } from "../../decoding/draft-budget.ts"
import { bestLength, expectedSpeedup } from "../../decoding/draft-length.ts"
import { draftsOn, type StopLimits, survivalBudget } from "./stop-policy.ts"
import {
  answersOf,
  bestRate,
  constantWorld,
  longRegimes,
  regimes,
  type Stopping,
  seeingHead,
  worthOfDrafting,
} from "./test-worlds.ts"

const limits = (threshold: number, shortest = 1, longest = 30): StopLimits => ({ threshold, shortest, longest })
const thresholds = Array.from({ length: 24 }, (_, i) => 0.02 + 0.04 * i)

/** Least cost of a token over a family of policies, chosen on one half and taken on the other. */
function heldOut(answers: readonly DraftedAnswer[], policies: readonly (() => DraftBudget)[], cost: number): number {
  const half = answers.length >> 1
  const [first, second] = [answers.slice(0, half), answers.slice(half)]
  const costs = policies.map((policy) => costPerToken(replay(first, policy), cost))
  return costPerToken(replay(second, policies[costs.indexOf(Math.min(...costs))]!), cost)
}
const everyLength = Array.from({ length: 24 }, (_, i) => () => fixedBudget(i + 1))
const everyThreshold = (head = seeingHead) =>
  thresholds.map((threshold) => () => survivalBudget(head, limits(threshold)))

/** Gain over the best fixed length, as a share. */
const gain = (answers: readonly DraftedAnswer[], policies: readonly (() => DraftBudget)[], cost: number): number =>
  heldOut(answers, everyLength, cost) / heldOut(answers, policies, cost) - 1

describe("the rule", () => {
  const hiddenOf = (chance: number) => ({ confidence: () => 1, hidden: Float32Array.of(chance) })
  function lengthOf(chances: readonly number[], stop: StopLimits): number {
    const budget = survivalBudget(seeingHead, stop)
    let count = 0
    for (const most = budget.next().depth; count < most; ) {
      const hidden = hiddenOf(chances[count++] ?? 1)
      if (!budget.goesOn!({ count, ...hidden })) break
    }
    return count
  }

  test("row k belongs to token k − 1: the first is not judged, and the last never is", () => {
    // The first number is the pending token's row, of no importance; 1 − 0.5 exceeds 0.4 after the second.
    expect(lengthOf([0.01, 0.9, 0.5, 1, 1], limits(0.4))).toBe(3)
    expect(lengthOf([0.01, 0.5, 1, 1], limits(0.4))).toBe(2)
  })

  test("judged by the row that drafts, every token counts, the first and the last", () => {
    const row = "drafts" as const
    expect(lengthOf([0.9, 0.5, 1, 1], { ...limits(0.4), row })).toBe(2)
    expect(lengthOf([0.5, 1, 1], { ...limits(0.4), row })).toBe(1)
  })

  test("the product counts, not the last probability: five of 0.9 are too many for 0.4", () => {
    expect(lengthOf(Array<number>(30).fill(0.9), limits(0.4))).toBe(6) // 1 − 0.9^5 = 0.41
    expect(lengthOf(Array<number>(30).fill(0.9), limits(0.5))).toBe(8) // 1 − 0.9^7 = 0.52
  })

  test("exceeds is strict, and the limits hold", () => {
    expect(draftsOn(3, 0.5, limits(0.5))).toBe(true)
    expect(draftsOn(3, 0.49, limits(0.5))).toBe(false)
    expect(draftsOn(1, 0, limits(0.5, 2))).toBe(true)
    expect(draftsOn(2, 0, limits(0.5, 2))).toBe(false)
    expect(draftsOn(7, 1, limits(0.5, 2, 7))).toBe(false)
    expect(lengthOf([0.5, 0.5, 0.5, 0.5], limits(0, 3))).toBe(3)
  })

  test("the next draft begins anew", () => {
    const budget = survivalBudget(seeingHead, limits(0.4))
    for (const round of [1, 2]) {
      budget.next()
      expect(budget.goesOn!({ count: 1, ...hiddenOf(0) }), `round ${round}`).toBe(true)
      expect(budget.goesOn!({ count: 2, ...hiddenOf(0.5) })).toBe(false)
    }
  })
})

describe("the theory", () => {
  // Leviathan et al. 2023: the best fixed lengths and what they gain.
  test.each([
    [0.6, 0.05, 4, 1.92],
    [0.8, 0.05, 8, 3.09],
    [0.8, 0.1, 6, 2.47],
    [0.9, 0.05, 13, 4.67],
    [0.5, 0.2, 1, 1.25],
  ])("acceptance %d at cost %d: %d tokens, %d times", (acceptance, cost, length, speedup) => {
    expect(bestLength(acceptance, cost, 24)).toBe(length)
    expect(expectedSpeedup(acceptance, cost, length)).toBeCloseTo(speedup, 2)
    const stopping: Stopping = { world: { acceptance: [acceptance], stays: 1 }, cost, longest: 24 }
    expect(bestRate(stopping)).toBeCloseTo(expectedSpeedup(acceptance, cost, length), 9)
  })

  test.each([
    [0.05, 0.83],
    [0.1, 0.74],
    [0.2, 0.59],
  ])(
    "constant acceptance 0.8, cost %d: the optimum stops at P(refusal) = %d, far below c₂/(c₁+c₂)",
    (cost, refusal) => {
      const stopping: Stopping = { world: constantWorld, cost, longest: 24 }
      const rate = bestRate(stopping)
      let survival = 1
      let count = 0
      for (; worthOfDrafting(stopping, rate + 1e-9, { count, survival, regime: 0 }) > 0; count++) survival *= 0.8
      expect(1 - survival).toBeCloseTo(refusal, 2)
      expect(1 - survival).toBeLessThan(1 - cost - 0.1)
    },
  )

  test("no rule for stopping beats the dynamic programme, and one reaches it: all 2^14 of three tokens", () => {
    const { acceptance, stays } = regimes
    const cost = 0.15
    /** A rule says for each line of regimes seen so far (the next token's last) whether to draft that token. */
    const rateOf = (rule: number): number => {
      let [tokens, price] = [1, 1]
      const walk = (path: number, depth: number, reached: number, survival: number) => {
        if (depth > 3 || ((rule >> (path - 2)) & 1) === 0) return
        const regime = path & 1
        const next = survival * acceptance[regime]!
        tokens += reached * next
        price += reached * cost
        for (const to of [0, 1]) walk(path * 2 + to, depth + 1, reached * (to === regime ? stays : 1 - stays), next)
      }
      for (const first of [0, 1]) walk(2 + first, 1, 0.5, 1)
      return tokens / price
    }
    let best = 0
    for (let rule = 0; rule < 2 ** 14; rule++) best = Math.max(best, rateOf(rule))
    expect(bestRate({ world: regimes, cost, longest: 3 })).toBeCloseTo(best, 9)
  })

  test("theorem 3.1: above some probability of a refusal, stopping is best wherever one stands", () => {
    const stopping: Stopping = { world: regimes, cost: 0.1, longest: 12 }
    const rate = bestRate(stopping)
    const stops = (survival: number) =>
      [0, 1].every((regime) => worthOfDrafting(stopping, rate, { count: 0, survival, regime }) === 0)
    const survivals = Array.from({ length: 200 }, (_, i) => (i + 1) / 200)
    const highest = survivals.filter(stops).at(-1)!
    expect(highest).toBeGreaterThan(0.05)
    expect(highest).toBeLessThan(0.5)
    expect(survivals.filter((survival) => survival <= highest).every(stops)).toBe(true)
  })
})

describe("replayed", () => {
  const mixed = answersOf(regimes, { answers: 60, tokens: 200, seed: 4 })
  const even = answersOf(constantWorld, { answers: 60, tokens: 200, seed: 4 })

  test("the cost identity c(1 − v + d) + v is the counted cost", () => {
    for (const policy of [...everyLength.slice(0, 6), ...everyThreshold().slice(3, 8)]) {
      const counts: ReplayCounts = replay(mixed, policy)
      expect(costPerToken(counts, 0.13)).toBeCloseTo((0.13 * counts.drafted + counts.rounds) / counts.tokens, 12)
      expect(counts.tokens).toBe(60 * 199)
    }
  })

  test("a fixed length K has d = v(K + 1) − 1, where no answer ends within a draft", () => {
    for (const length of [4, 8]) {
      const counts = replay(answersOf(regimes, { answers: 1, tokens: 60_000, seed: 2 }), () => fixedBudget(length))
      expect(discardRate(counts)).toBeCloseTo(verificationRate(counts) * (length + 1) - 1, 3)
    }
  })

  test("threshold 1 is the longest fixed length, whatever the head says", () => {
    const random = { accepts: (hidden: Float32Array) => (hidden[0]! * 7919) % 1 }
    expect(replay(mixed, () => survivalBudget(random, limits(1, 2, 20)))).toEqual(replay(mixed, () => fixedBudget(20)))
  })

  test("a head that always says the same is a fixed length", () => {
    const same = { accepts: () => 0.8 }
    expect(replay(mixed, () => survivalBudget(same, limits(0.5)))).toEqual(replay(mixed, () => fixedBudget(5)))
  })

  test("constant acceptance: nothing is gained, and a noisy head loses", () => {
    const noisy = answersOf(constantWorld, { answers: 60, tokens: 200, seed: 4, noise: 1 })
    for (const cost of [0.05, 0.1, 0.2]) {
      expect(Math.abs(gain(even, everyThreshold(), cost))).toBeLessThan(0.01)
      const lost = heldOut(even, everyLength, cost) / heldOut(noisy, everyThreshold(), cost) - 1
      expect(lost).toBeLessThan(0.002)
    }
  })

  test("two regimes: a head that knows them beats every fixed length; noise costs a part of it", () => {
    for (const cost of [0.05, 0.1, 0.2]) {
      const known = gain(mixed, everyThreshold(), cost)
      expect(known).toBeGreaterThan(0.08)
      const noisy = answersOf(regimes, { answers: 60, tokens: 200, seed: 4, noise: 1 })
      const guessed = gain(noisy, everyThreshold(), cost)
      expect(guessed).toBeGreaterThan(0.02)
      expect(guessed).toBeLessThan(known)
    }
  })

  describe("known to be wrong", () => {
    const right = gain(mixed, everyThreshold(), 0.1)
    const classesSwapped = everyThreshold({ accepts: (hidden) => 1 - hidden[0]! })
    const lastOnly = thresholds.map((threshold) => (): DraftBudget => {
      const { next } = fixedBudget(30)
      return { next, goesOn: ({ count, hidden }) => count === 1 || 1 - hidden![0]! <= threshold }
    })

    test("classes swapped", () => expect(gain(mixed, classesSwapped, 0.1)).toBeLessThan(0.5 * right))
    test("the last probability instead of the product", () => {
      const long = answersOf(longRegimes, { answers: 60, tokens: 200, seed: 4 })
      expect(gain(long, lastOnly, 0.2)).toBeLessThan(gain(long, everyThreshold(), 0.2) - 0.02)
    })
    test("hidden states of the wrong rows", () => {
      const shifted = answersOf(regimes, { answers: 60, tokens: 200, seed: 4, shift: -5 })
      expect(gain(shifted, everyThreshold(), 0.1)).toBeLessThan(0.6 * right)
    })
    test("hidden states of other answers", () => {
      const other = answersOf(regimes, { answers: 60, tokens: 200, seed: 5 })
      const strange = mixed.map(
        (answer, i): DraftedAnswer => ({
          tokens: answer.tokens,
          lineFrom: (place) => ({ ...other[i]!.lineFrom(place), right: answer.lineFrom(place).right }),
        }),
      )
      expect(gain(strange, everyThreshold(), 0.1)).toBeLessThan(0.3 * right)
    })
  })
})
