/** The pipeline on laws computed by hand, on wrong variants it must differ from, and on random rows. */

import fc from "fast-check"
import { chiSquaredDistributionTable } from "simple-statistics"
import { describe, expect, it } from "vitest"
import { createRandom } from "../tensor/random.ts"
import type { Law } from "./law.ts"
import { createSampler } from "./sampler.ts"
import { type SamplingOptions, validateSampling } from "./sampling-options.ts"
import { createTokenHistory } from "./token-history.ts"

const NONE = createTokenHistory()
/** Logits whose softmax at temperature 1 is 0.4, 0.3, 0.1, 0.1, 0.06, 0.04 at ids 1, 4, 0, 3, 5, 2. */
const PROBS = [0.1, 0.4, 0.04, 0.1, 0.3, 0.06]
const LOGITS = Float32Array.from(PROBS, Math.log)

function lawOf(options: SamplingOptions, logits = LOGITS, history = NONE): Law {
  return createSampler(validateSampling(options, logits.length)).law(logits, history)
}

/** Probabilities by id, [vocabulary]. */
function dense(law: Law, size = 6): number[] {
  return Array.from({ length: size }, (_, id) => law.prob(id))
}

function expectClose(found: readonly number[], expected: readonly number[], tolerance = 1e-7): void {
  expect(found).toHaveLength(expected.length) // float32 logits carry log(p) to about 1e-7
  for (const [i, value] of expected.entries()) expect(Math.abs(found[i]! - value)).toBeLessThan(tolerance)
}

describe("laws by hand", () => {
  it("temperature 1 is the softmax; 0.5 squares it; 2 takes its root", () => {
    expectClose(dense(lawOf({ temperature: 1 })), PROBS)
    const squares = PROBS.map((prob) => prob * prob) // 0.01 0.16 0.0016 0.01 0.09 0.0036, in all 0.2752
    expectClose(
      dense(lawOf({ temperature: 0.5 })),
      squares.map((square) => square / 0.2752),
    )
    const roots = PROBS.map(Math.sqrt)
    const total = roots.reduce((sum, root) => sum + root)
    expectClose(
      dense(lawOf({ temperature: 2 })),
      roots.map((root) => root / total),
    )
  })

  it("temperature 0 is a point mass, on the lowest id if several tie", () => {
    expect(dense(lawOf({}))).toEqual([0, 1, 0, 0, 0, 0])
    expect(dense(lawOf({}, Float32Array.of(1, 3, 0, 3, 2, 3)))).toEqual([0, 1, 0, 0, 0, 0])
  })

  it("temperatures near 0 do not break down", () => {
    expect(dense(lawOf({ temperature: 1e-320 }, Float32Array.of(1, 3, 0, 3, 2, -Infinity)))).toEqual([
      0, 0.5, 0, 0.5, 0, 0,
    ])
  })

  it("top-k keeps exactly k; ties at its edge go to the lowest id", () => {
    expectClose(dense(lawOf({ temperature: 1, topK: 2 })), [0, 4 / 7, 0, 0, 3 / 7, 0])
    expectClose(dense(lawOf({ temperature: 1, topK: 3 })), [1 / 8, 4 / 8, 0, 0, 3 / 8, 0])
  })

  it("top-p keeps the smallest set that reaches p, the token that reaches it included", () => {
    expectClose(dense(lawOf({ temperature: 1, topP: 0.5 })), [0, 4 / 7, 0, 0, 3 / 7, 0])
    expectClose(dense(lawOf({ temperature: 1, topP: 0.75 })), [1 / 8, 4 / 8, 0, 0, 3 / 8, 0])
    expectClose(dense(lawOf({ temperature: 1, topP: 0.85 })), [1 / 9, 4 / 9, 0, 1 / 9, 3 / 9, 0])
    for (const topP of [0, 1e-300, 0.1]) expect(dense(lawOf({ temperature: 1, topP }))).toEqual([0, 1, 0, 0, 0, 0])
  })

  it("top-p reached exactly needs nothing more", () => {
    const equal = new Float32Array(4)
    expect(dense(lawOf({ temperature: 1, topP: 0.5 }, equal), 4)).toEqual([0.5, 0.5, 0, 0])
    expect(dense(lawOf({ temperature: 1, topK: 4, topP: 0.5 }, new Float32Array(5)), 5)).toEqual([0.5, 0.5, 0, 0, 0])
    expect(dense(lawOf({ temperature: 1, topP: 0.51 }, equal), 4)).toEqual([1 / 3, 1 / 3, 1 / 3, 0])
    expect(dense(lawOf({ temperature: 1, topP: 0 }, equal), 4)).toEqual([1, 0, 0, 0])
  })

  it("min-p keeps what has that fraction of the likeliest, after temperature, equality included", () => {
    expectClose(dense(lawOf({ temperature: 1, minP: 0.2 })), [1 / 9, 4 / 9, 0, 1 / 9, 3 / 9, 0])
    expectClose(dense(lawOf({ temperature: 0.5, minP: 0.2 })), [0, 16 / 25, 0, 0, 9 / 25, 0]) // 0.01 / 0.16 < 0.2
    expect(dense(lawOf({ temperature: 1, minP: 1 }, new Float32Array(4)), 4)).toEqual([0.25, 0.25, 0.25, 0.25])
  })

  it("top-p counts the mass of what top-k left", () => {
    // Of 0.4, 0.3, 0.1 the first two are 0.875: enough for 0.85, though of the whole they are only 0.7.
    expectClose(dense(lawOf({ temperature: 1, topK: 3, topP: 0.85 })), [0, 4 / 7, 0, 0, 3 / 7, 0])
  })

  it("bans what the model bans", () => {
    const logits = Float32Array.from(LOGITS)
    logits[1] = -Infinity
    expectClose(dense(lawOf({ temperature: 1 }, logits)), [1 / 6, 0, 0.4 / 6, 1 / 6, 0.5, 0.1])
    expectClose(dense(lawOf({ temperature: 1, topK: 5, topP: 0.999999 }, logits)), [1 / 6, 0, 0.4 / 6, 1 / 6, 0.5, 0.1])
  })
})

describe("bias and penalties by hand", () => {
  const logits = Float32Array.of(2, -1, 0.5, -0.5, 3, 0)
  const history = createTokenHistory([4, 1, 4], [0, 0, 4])
  /** Scores up to a constant: temperature 1 gives them back as logarithms, the first at its true value. */
  function scores(options: SamplingOptions, first: number): number[] {
    const logs = dense(lawOf({ temperature: 1, ...options }, logits, history)).map(Math.log)
    return logs.map((log) => log - logs[0]! + first)
  }

  it("repetition divides positive and multiplies negative logits, once, over prompt and output", () => {
    expectClose(scores({ repetitionPenalty: 2 }, 1), [1, -2, 0.5, -0.5, 1.5, 0], 1e-12)
  })

  it("presence counts the output's tokens once, frequency each time; the prompt is free", () => {
    expectClose(scores({ presencePenalty: 0.5 }, 1.5), [1.5, -1, 0.5, -0.5, 2.5, 0], 1e-12)
    expectClose(scores({ frequencyPenalty: 0.5 }, 1), [1, -1, 0.5, -0.5, 2.5, 0], 1e-12)
  })

  it("bias comes first, then repetition, then presence and frequency", () => {
    const options = { logitBias: { 0: -3, 2: 1 }, repetitionPenalty: 2, presencePenalty: 0.5, frequencyPenalty: 0.25 }
    // id 0: (2 - 3) · 2 - 0.5 - 0.5; id 4: 3 / 2 - 0.5 - 0.25
    expectClose(scores(options, -3), [-3, -2, 1.5, -0.5, 0.75, 0], 1e-12)
  })

  it("decides greedy choices too", () => {
    const token = (options: SamplingOptions) => lawOf(options, logits, history).ids[0]
    expect(token({})).toBe(4)
    expect(token({ logitBias: { 5: 100 } })).toBe(5)
    expect(token({ logitBias: { 4: -100 } })).toBe(0)
    expect(token({ repetitionPenalty: 10 })).toBe(2)
  })

  it("a bias of -100 practically bans", () => {
    expect(lawOf({ temperature: 1, logitBias: { 4: -100 } }, logits).prob(4)).toBeLessThan(1e-42)
  })

  it("sees pushed drafts, and forgets them when rewound; ids without a logit do no harm", () => {
    const sampler = createSampler(validateSampling({ temperature: 1, frequencyPenalty: 1, repetitionPenalty: 1.5 }, 6))
    const before = sampler.law(logits, history)
    const walk = history.fork()
    for (const token of [5, 5, 1000]) walk.push(token)
    const ahead = sampler.law(logits, walk)
    expect(ahead.prob(5)).toBeLessThan(before.prob(5))
    expect(ahead).toMatchObject(dataOf(sampler.law(logits, createTokenHistory([4, 1], [0, 0, 4, 5, 5]))))
    walk.rewind(3)
    expect(sampler.law(logits, walk)).toMatchObject(dataOf(before))
  })
})

function dataOf({ ids, probs }: Law) {
  return { ids, probs }
}

describe("known mistakes give other laws", () => {
  it("top-p before temperature", () => {
    // Before: 0.4, 0.3, 0.1 reach 0.75, and are squared then. After: 0.16 + 0.09 of 0.2752 is enough.
    const before = [1 / 26, 16 / 26, 0, 0, 9 / 26, 0]
    const found = dense(lawOf({ temperature: 0.5, topP: 0.75 }))
    expectClose(found, [0, 16 / 25, 0, 0, 9 / 25, 0])
    expect(() => expectClose(found, before)).toThrow()
  })

  it("top-p that drops the token which reaches p, or takes one more when it is reached exactly", () => {
    expect(lawOf({ temperature: 1, topP: 0.6 }).ids).toEqual(Int32Array.of(1, 4)) // dropping: only 1
    expect(lawOf({ temperature: 1, topP: 0.5 }, new Float32Array(2)).ids).toEqual(Int32Array.of(0)) // more: 0 and 1
  })

  it("top-p before top-k, or of the whole mass", () => {
    // Whole mass: 0.4 + 0.3 is 0.7, so 0.75 would need all three of the top-k; of their 0.8 it is 0.875.
    expect(lawOf({ temperature: 1, topK: 3, topP: 0.75 }).ids).toEqual(Int32Array.of(1, 4))
  })

  it("a penalty that divides negative logits, which would make repeats likelier", () => {
    const law = lawOf({ temperature: 1, repetitionPenalty: 2 }, Float32Array.of(-2, -2), createTokenHistory([0]))
    expectClose(dense(law, 2), [Math.exp(-2) / (1 + Math.exp(-2)), 1 / (1 + Math.exp(-2))], 1e-12)
    expect(law.prob(0)).toBeLessThan(0.5)
  })

  it("min-p as an absolute threshold", () => {
    expect(lawOf({ temperature: 1, minP: 0.2 }).ids).toHaveLength(4) // absolute: 2
  })
})

describe("draws", () => {
  it("follow the law (chi-square, seeded), and stay in the support", () => {
    const sampler = createSampler(validateSampling({ temperature: 1.3, topP: 0.97, minP: 0.2 }, 6))
    const law = sampler.law(LOGITS, NONE)
    expect(law.ids).toEqual(Int32Array.of(0, 1, 3, 4, 5))
    const random = createRandom(17)
    const counts = new Array<number>(6).fill(0)
    const count = 30_000
    for (let i = 0; i < count; i++) counts[sampler.draw(law, random)]! += 1
    let statistic = 0
    for (const [i, id] of law.ids.entries()) {
      statistic += (counts[id]! - count * law.probs[i]!) ** 2 / (count * law.probs[i]!)
    }
    expect(statistic).toBeLessThan(chiSquaredDistributionTable[4]![0.005]!)
  })

  it("pick is the draw from the law, one random number each; greedy takes none", () => {
    const sampler = createSampler(validateSampling({ temperature: 0.8, topP: 0.9 }, 6))
    const [a, b] = [createRandom(1), createRandom(1)]
    for (let i = 0; i < 50; i++) expect(sampler.pick(LOGITS, NONE, a)).toBe(sampler.draw(sampler.law(LOGITS, NONE), b))
    const greedy = createSampler(validateSampling({}, 6))
    expect(greedy.greedy).toBe(true)
    expect(greedy.pick(LOGITS, NONE, a)).toBe(1)
    expect(a.next()).toBe(b.next())
  })

  it("laws outlive later calls, and logits stay as they were", () => {
    const sampler = createSampler(validateSampling({ temperature: 1, logitBias: { 0: 5 } }, 6))
    const logits = Float32Array.from(LOGITS)
    const law = sampler.law(logits, NONE)
    const saved = Float64Array.from(law.probs)
    sampler.law(new Float32Array(6), NONE)
    expect(law.probs).toEqual(saved)
    expect(logits).toEqual(LOGITS)
  })
})

describe("refusals", () => {
  it.each([{}, { temperature: 1 }, { temperature: 1, topK: 2 }, { temperature: 1, topP: 0.5 }])(
    "of NaN, +Infinity, everything banned and wrong widths, with %j",
    (options) => {
      const sampler = createSampler(validateSampling(options, 3))
      for (const row of [
        [0, Number.NaN, 0],
        [Number.NaN, 0, 0],
        [0, 0, Infinity],
        [-Infinity, -Infinity, -Infinity],
      ]) {
        const runtime = expect.objectContaining({ code: "E_RUNTIME" })
        expect(() => sampler.law(Float32Array.from(row), NONE)).toThrow(runtime)
        expect(() => sampler.pick(Float32Array.from(row), NONE, createRandom(1))).toThrow(runtime)
      }
      expect(() => sampler.law(new Float32Array(4), NONE)).toThrow(expect.objectContaining({ code: "E_INPUT" }))
      expect(() => sampler.law(new Float32Array(2), NONE)).toThrow(expect.objectContaining({ code: "E_INPUT" }))
    },
  )

  it("of a further processor that bans everything; one that bans some is obeyed", () => {
    const mask = (allowed: number[]) => (scores: Float64Array) => {
      for (const id of scores.keys()) if (!allowed.includes(id)) scores[id] = -Infinity
    }
    const sampling = validateSampling({ temperature: 1 }, 6)
    expectClose(dense(createSampler(sampling, [mask([0, 4])]).law(LOGITS, NONE)), [0.25, 0, 0, 0, 0.75, 0])
    expect(() => createSampler(sampling, [mask([])]).law(LOGITS, NONE)).toThrow("above -Infinity")
  })
})

describe("on random rows", () => {
  const logit = fc.oneof(
    { weight: 4, arbitrary: fc.double({ min: -20, max: 20, noNaN: true }) },
    { weight: 4, arbitrary: fc.integer({ min: -3, max: 3 }) }, // ties
    { weight: 1, arbitrary: fc.constant(-Infinity) },
    { weight: 1, arbitrary: fc.double({ min: -1e6, max: 1e3, noNaN: true }) },
  )
  const row = fc
    .tuple(fc.array(logit, { maxLength: 80 }), fc.double({ min: -5, max: 5, noNaN: true }))
    .map(([values, last]) => Float32Array.from([...values, last])) // one at least is not banned
  const unit = fc.double({ min: 0, max: 1, noNaN: true })
  const temperature = fc.double({ min: 0.01, max: 5, noNaN: true })
  const shares = { temperature, topP: unit, minP: unit, topK: fc.nat(90) }

  it("laws are normalised, positive, ascending and keep likelier tokens first", () => {
    fc.assert(
      fc.property(row, fc.record(shares), (logits, options) => {
        const { ids, probs } = lawOf(options, logits)
        expect(Math.abs(probs.reduce((sum, prob) => sum + prob, 0) - 1)).toBeLessThan(1e-12)
        expect(probs.every((prob) => prob > 0)).toBe(true)
        expect(ids.every((id, i) => i === 0 || id > ids[i - 1]!)).toBe(true)
        const order = likeliestFirst(logits)
        expect([...ids].sort((a, b) => a - b)).toEqual(order.slice(0, ids.length).sort((a, b) => a - b))
        if (options.topK > 0) expect(ids.length).toBeLessThanOrEqual(options.topK)
      }),
      { numRuns: 1000 },
    )
  })

  it("each filter only shrinks the support, and more so the stricter it is", () => {
    fc.assert(
      fc.property(row, fc.record(shares), unit, (logits, options, stricter) => {
        const size = (change: SamplingOptions) => lawOf({ ...options, ...change }, logits).ids.length
        const all = size({})
        expect(size({ topP: 1 })).toBeGreaterThanOrEqual(all)
        expect(size({ minP: 0 })).toBeGreaterThanOrEqual(all)
        expect(size({ topP: options.topP * stricter })).toBeLessThanOrEqual(all)
        expect(size({ minP: 1 - (1 - options.minP) * stricter })).toBeLessThanOrEqual(all)
      }),
      { numRuns: 500 },
    )
  })

  it("top-p's set reaches p, and without its least likely token would not", () => {
    fc.assert(
      fc.property(row, temperature, unit, (logits, heat, topP) => {
        const whole = lawOf({ temperature: heat }, logits)
        const { ids } = lawOf({ temperature: heat, topP }, logits)
        const kept = Array.from(ids, (id) => whole.prob(id))
        const mass = kept.reduce((sum, prob) => sum + prob, 0)
        expect(mass).toBeGreaterThan(topP - 1e-12)
        if (ids.length > 1) expect(mass - Math.min(...kept)).toBeLessThan(topP + 1e-12)
      }),
      { numRuns: 1000 },
    )
  })

  it("with and without top-k the other filters agree (two implementations)", () => {
    fc.assert(
      fc.property(row, temperature, unit, unit, (logits, heat, topP, minP) => {
        // One banned token more makes k = the old vocabulary a real filter that keeps all that can be kept.
        const padded = Float32Array.from([...logits, -Infinity])
        const { probs } = lawOf({ temperature: heat }, padded)
        let mass = 0
        // Where p is a prefix's mass up to rounding, the order of summing decides: either answer is right.
        for (const prob of [...probs].sort((a, b) => b - a)) {
          mass += prob
          fc.pre(Math.abs(mass - topP) > 1e-12 || topP === 1)
        }
        const options = { temperature: heat, topP, minP }
        const swept = lawOf(options, padded)
        const sorted = lawOf({ ...options, topK: logits.length }, padded)
        expect(sorted.ids).toEqual(swept.ids)
        expectClose([...sorted.probs], [...swept.probs], 1e-14)
      }),
      { numRuns: 1000 },
    )
  })

  function likeliestFirst(logits: Float32Array): number[] {
    return [...logits.keys()].sort((a, b) => (logits[a] === logits[b] ? a - b : logits[b]! > logits[a]! ? 1 : -1))
  }
})
