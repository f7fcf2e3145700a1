/** The specification's golden numbers for the game, its invariants, and known-wrong variants that must not pass. */
import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { type Equilibrium, fromProbabilities, type GameOptions, initialPolicies, playGame } from "./game.ts"
import { bestGroup, rankings, winnerOf } from "./rankings.ts"

const defaults: GameOptions = {
  lambdaG: 0.1,
  lambdaD: 0.1,
  etaG: 0.1,
  etaD: 0.1,
  iterations: 5000,
  initial: "cross",
  solver: "pikl",
}
const likelihoods1 = [
  [0.4, 0.35, 0.2, 0.05],
  [0.3, 0.1, 0.25, 0.35],
]
const claims1 = [
  [0.45, 0.55],
  [0.6, 0.4],
  [0.7, 0.3],
  [0.2, 0.8],
]
const game1 = fromProbabilities(likelihoods1, claims1)
const likelihoods2 = [
  [0.6, 0.4],
  [0.3, 0.7],
]
const game2 = fromProbabilities(likelihoods2, [
  [0.4, 0.6],
  [0.8, 0.2],
])

const erG = ({ generator }: Equilibrium["final"]) => generator[0]!
const erD = ({ discriminator }: Equilibrium["final"]) => discriminator.map(([p]) => p!)
/** Golden numbers are printed to six digits. */
function close(found: readonly number[], golden: readonly number[], digits = 6): void {
  expect(found).toHaveLength(golden.length)
  for (const [i, value] of golden.entries())
    expect(Math.abs(found[i]! - value), `${found} against ${golden}`).toBeLessThan(0.51 * 10 ** -digits)
}

describe("ER-1, four candidates", () => {
  test("initial policies", () => {
    const initial = initialPolicies(game1, "cross")
    close(initial.generator[0]!, [0.297828, 0.405377, 0.231644, 0.06515])
    close(initial.generator[1]!, [0.20591, 0.106768, 0.266921, 0.4204])
    close(erD(initial), [0.462406, 0.61194, 0.710396, 0.208122])
  })

  const golden: [updates: number, generator: number[], discriminator: number[]][] = [
    [1, [0.250433, 0.253065, 0.252896, 0.243606], [0.500765, 0.504823, 0.501784, 0.492296]],
    [2, [0.251307, 0.254742, 0.253143, 0.240807], [0.50039, 0.505969, 0.504029, 0.488956]],
    [10, [0.257305, 0.26753, 0.255481, 0.219685], [0.498062, 0.515771, 0.520478, 0.462692]],
    [100, [0.262526, 0.369457, 0.282643, 0.085373], [0.499395, 0.638821, 0.630269, 0.237165]],
    [500, [0.158773, 0.542266, 0.289468, 0.009493], [0.524477, 0.870094, 0.801344, 0.029134]],
    [1000, [0.113694, 0.602066, 0.280393, 0.003846], [0.527948, 0.926007, 0.849798, 0.011055]],
    [5000, [0.064778, 0.666042, 0.267909, 0.001271], [0.508415, 0.968599, 0.889752, 0.003394]],
  ]
  const { trace, final, residual, utility } = playGame(
    game1,
    defaults,
    golden.map(([updates]) => updates),
  )

  test.each(golden)("policies after %i updates", (updates, generator, discriminator) => {
    close(erG(trace.get(updates)!), generator)
    close(erD(trace.get(updates)!), discriminator)
  })

  test("the generator told to be wrong, at the end", () => {
    close(final.generator[1]!, [0.040922, 0.002828, 0.009974, 0.946275])
  })

  test("5000 updates are no equilibrium, and the residual says so", () => {
    expect(residual).toBeGreaterThan(0.0185)
    expect(residual).toBeLessThan(0.0195)
    expect(utility.final).toBeGreaterThan(utility.initial)
    const solved = playGame(game1, { ...defaults, solver: "fixed-point" })
    expect(solved.residual).toBeLessThan(1e-12)
    close(erG(solved.final), [0.034693, 0.698598, 0.265867, 0.000842])
    close([erD(solved.final)[0]!], [0.442066])
  })

  test.each([
    [10, [0.296309, 0.406356, 0.233329, 0.064006]],
    [1, [0.28179, 0.418016, 0.246768, 0.053426]],
    [0.01, [0, 0.685266, 0.314734, 0]],
  ])("λ of %d", (lambda, golden) => {
    close(erG(playGame(game1, { ...defaults, lambdaG: lambda, lambdaD: lambda }).final), golden)
  })

  test("without cross-normalisation it is another game", () => {
    close(erG(playGame(game1, { ...defaults, initial: "rows" }).final), [0.10153, 0.644439, 0.252866, 0.001165])
  })

  test("summing π/(2t) instead of averaging, as one re-implementation does, gives other numbers", () => {
    const found = erG(playGame(game1, { ...defaults, iterations: 500 }).final)
    for (const [y, wrong] of [0.005771, 0.790946, 0.203283].entries())
      expect(Math.abs(found[y]! - wrong)).toBeGreaterThan(0.05)
  })
})

describe("ER-2, two candidates", () => {
  const { initial, final, trace, utility } = playGame(game2, defaults, [1, 99])

  test("policies on the way", () => {
    close(erG(initial), [0.64705882, 0.35294118], 8)
    close(erD(initial), [0.30769231, 0.72727273], 8)
    close(erG(trace.get(1)!), [0.49630758, 0.50369242], 8)
    close(erG(trace.get(99)!), [0.50516376, 0.49483624], 8)
    close(erG(final), [0.02398547, 0.97601453], 8)
    close(erD(final), [0.00873674, 0.99259385], 8)
  })

  test("the winner changes twice on the way: few updates are not enough", () => {
    expect([initial, trace.get(1)!, trace.get(99)!, final].map((policies) => winnerOf(erG(policies)))).toEqual([
      0, 1, 0, 1,
    ])
  })

  test("utility", () => close([utility.initial, utility.final], [0.436369, 0.967864]))
})

test("ER-3: a discriminator without opinion leaves the generator's order", () => {
  const uniform = likelihoods2.map(() => [0.5, 0.5])
  close(erG(playGame(fromProbabilities(likelihoods2, uniform), defaults).final), [0.99346, 0.00654])
})

const positive = fc.double({ min: 1e-6, max: 1, noNaN: true })
const anyGame = fc.integer({ min: 2, max: 6 }).chain((n) =>
  fc.record({
    generator: fc.array(fc.array(positive, { minLength: n, maxLength: n }), { minLength: 2, maxLength: 2 }),
    discriminator: fc.array(fc.array(positive, { minLength: 2, maxLength: 2 }), { minLength: n, maxLength: n }),
  }),
)
const short = { ...defaults, iterations: 60 }

describe("for any likelihoods", () => {
  test("rows sum to 1", () => {
    fc.assert(
      fc.property(anyGame, ({ generator, discriminator }) => {
        const { final } = playGame(fromProbabilities(generator, discriminator), short)
        for (const row of [...final.generator, ...final.discriminator])
          expect(row.reduce((sum, p) => sum + p, 0)).toBeCloseTo(1, 12)
      }),
      { numRuns: 40 },
    )
  })

  test("candidates in another order give the same numbers in that order", () => {
    fc.assert(
      fc.property(anyGame, ({ generator, discriminator }) => {
        const straight = playGame(fromProbabilities(generator, discriminator), short)
        const turned = playGame(
          fromProbabilities(
            generator.map((row) => row.toReversed()),
            discriminator.toReversed(),
          ),
          short,
        )
        close(erG(turned.final).toReversed(), erG(straight.final), 10)
        close(erD(turned.final).toReversed(), erD(straight.final), 10)
      }),
      { numRuns: 40 },
    )
  })

  test("exchanging correct and incorrect everywhere exchanges the outcome", () => {
    fc.assert(
      fc.property(anyGame, ({ generator, discriminator }) => {
        const straight = playGame(fromProbabilities(generator, discriminator), short)
        const exchanged = playGame(
          fromProbabilities(
            generator.toReversed(),
            discriminator.map((row) => row.toReversed()),
          ),
          short,
        )
        close(exchanged.final.generator[1]!, erG(straight.final), 10)
      }),
      { numRuns: 40 },
    )
  })
})

test("equal rows cancel: a string's own likelihood says nothing", () => {
  const initial = initialPolicies(fromProbabilities([likelihoods1[0]!, likelihoods1[0]!], claims1), "cross")
  for (const row of initial.generator) close(row, [0.25, 0.25, 0.25, 0.25], 12)
})

test("a large λ keeps the initial policies", () => {
  const { initial, final } = playGame(game1, { ...defaults, lambdaG: 1e4, lambdaD: 1e4 })
  close(erG(final), erG(initial), 4)
})

test("zero probabilities give numbers, and long answers keep their order", () => {
  const zeros = playGame(
    fromProbabilities(
      [
        [0, 1],
        [0, 0],
      ],
      [
        [0, 1],
        [1, 0],
      ],
    ),
    defaults,
  )
  for (const value of [...zeros.final.generator, ...zeros.final.discriminator].flat()) expect(value).not.toBeNaN()
  // ln P of whole paragraphs: as probabilities both would be the floor.
  const long = {
    generator: [
      [-400, -410],
      [-405, -405],
    ],
    discriminator: game2.discriminator,
  }
  expect(winnerOf(erG(initialPolicies(long, "cross")))).toBe(0)
})

test("what it refuses", () => {
  const table = (generator: number[][], discriminator: number[][]) => () =>
    playGame({ generator, discriminator }, defaults)
  const input = expect.objectContaining({ code: "E_INPUT" })
  expect(table([[0], [0]], [])).toThrow(input)
  expect(table([[0, 0]], [[0, 0]])).toThrow(input)
  expect(table([[0], [Number.NEGATIVE_INFINITY]], [[0, 0]])).toThrow(input)
  expect(() => playGame(game1, { ...defaults, lambdaG: 0 })).toThrow(expect.objectContaining({ code: "E_OPTION" }))
  expect(() => playGame(game1, { ...defaults, iterations: 1.5 })).toThrow(expect.objectContaining({ code: "E_OPTION" }))
})

test("the seven rankings of ER-1", () => {
  const scores = rankings(game1, playGame(game1, defaults))
  expect(Object.fromEntries(Object.entries(scores).map(([name, values]) => [name, winnerOf(values)]))).toEqual({
    G: 0,
    MI: 1, // .35 · .60 = .21 against .40 · .45 = .18
    SC: 1,
    D: 2,
    PoE: 1, // .405 · .612 = .248 against .232 · .710 = .165
    "ER-G": 1,
    "ER-D": 1,
  })
  close(scores.G, [0.4, 0.35, 0.2, 0.05], 12)
  close(scores.D, [0.462406, 0.61194, 0.710396, 0.208122])
})

test("ties go to the first; a group's score is the sum of its members'", () => {
  expect(winnerOf([0.2, 0.4, 0.4])).toBe(1)
  expect(bestGroup([0.3, 0.4, 0.2], ["70", "12", "70"])).toBe("70")
  expect(bestGroup([0.3, 0.5, 0.2], ["70", "12", "70"])).toBe("70")
  expect(bestGroup([0.1, 0.5, 0.2], ["70", "12", "70"])).toBe("12")
})
