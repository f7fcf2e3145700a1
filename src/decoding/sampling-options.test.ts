/** Every sampling option: default, edges of its range, and refusals that say what is wrong. */

import { describe, expect, it } from "vitest"
import { type SamplingOptions, validateSampling } from "./sampling-options.ts"

const VOCABULARY = 100

function refusal(options: unknown, vocabulary = VOCABULARY): { code?: string; message: string } {
  try {
    validateSampling(options as SamplingOptions, vocabulary)
  } catch (thrown) {
    return thrown as { code: string; message: string }
  }
  return { message: "accepted" }
}

describe("validateSampling", () => {
  it("fills in defaults: greedy, everything else off", () => {
    const defaults = {
      vocabulary: VOCABULARY,
      temperature: 0,
      topK: 0,
      topP: 1,
      minP: 0,
      repetitionPenalty: 1,
      presencePenalty: 0,
      frequencyPenalty: 0,
      logitBias: new Map(),
      seed: undefined,
    }
    expect(validateSampling({}, VOCABULARY)).toEqual(defaults)
    expect(validateSampling({ temperature: undefined, logitBias: undefined, seed: undefined }, VOCABULARY)).toEqual(
      defaults,
    )
  })

  it("turns a top-k that keeps everything off", () => {
    expect(validateSampling({ topK: 99 }, VOCABULARY).topK).toBe(99)
    expect(validateSampling({ topK: 100 }, VOCABULARY).topK).toBe(0)
    expect(validateSampling({ topK: 1e9 }, VOCABULARY).topK).toBe(0)
  })

  it("reads a bias from an object, with ids as strings, or from a Map", () => {
    const expected = new Map([
      [3, -100],
      [99, 1.5],
    ])
    expect(validateSampling({ logitBias: { "3": -100, 99: 1.5 } }, VOCABULARY).logitBias).toEqual(expected)
    expect(validateSampling({ logitBias: expected }, VOCABULARY).logitBias).toEqual(expected)
  })

  const ranges: [keyof SamplingOptions, inside: number[], outside: number[], allowed: string][] = [
    ["temperature", [0, 1e-300, 2, 1e308], [-0.1], "a finite number of at least 0"],
    ["topK", [0, 1, 50], [-1, 1.5], "a finite integer of at least 0"],
    ["topP", [0, 0.5, 1], [-0.1, 1.1], "a number from 0 to 1"],
    ["minP", [0, 0.5, 1], [-0.1, 1.1], "a number from 0 to 1"],
    ["repetitionPenalty", [0.01, 1, 100], [0, -1, 101], "a number from 0.01 to 100"],
    ["presencePenalty", [-2, 2], [-2.1, 2.1], "a number from -2 to 2"],
    ["frequencyPenalty", [-2, 2], [-2.1, 2.1], "a number from -2 to 2"],
    ["seed", [0, -5, 2 ** 53 - 1], [0.5, 2 ** 53], "a safe integer"],
  ]
  it.each(ranges)("holds %s to its range", (name, inside, outside, allowed) => {
    for (const value of inside) expect(validateSampling({ [name]: value }, VOCABULARY)[name]).toBe(value)
    for (const value of [...outside, Number.NaN, Infinity, -Infinity, "1", true, null, {}, [], 1n]) {
      const { code, message } = refusal({ [name]: value })
      expect(code).toBe("E_OPTION")
      expect(message).toContain(`${name} must be ${allowed}`)
      if (typeof value === "number") expect(message).toContain(`found ${value}`)
    }
  })

  it.each([
    [{ 100: 1 }, 'a token id must be an integer from 0 to 99; found "100"'],
    [{ "-1": 1 }, 'found "-1"'],
    [{ "1.0": 1 }, 'found "1.0"'],
    [{ "": 1 }, 'found ""'],
    [{ cat: 1 }, 'found "cat"'],
    [new Map([[100, 1]]), "found 100"],
    [new Map([[Number.NaN, 1]]), "found NaN"],
    [{ 1: 101 }, "logitBias[1] must be a number from -100 to 100; found 101"],
    [{ 1: -Infinity }, "found -Infinity"],
    [{ 1: Number.NaN }, "found NaN"],
    [{ 1: "5" }, 'found "5"'],
    [{ 1: null }, "logitBias[1]"],
    [{ 1: undefined }, "logitBias[1]"],
    [[1, 2], "logitBias must be"],
    [5, "logitBias must be"],
    [null, "logitBias must be"],
  ])("refuses the bias %j", (logitBias, text) => {
    const { code, message } = refusal({ logitBias })
    expect(code).toBe("E_OPTION")
    expect(message).toContain(text)
  })

  it("refuses what are no options, and a vocabulary that is none", () => {
    for (const options of [undefined, null, 3, "x", []]) expect(refusal(options).code).toBe("E_OPTION")
    for (const vocabulary of [0, -1, 1.5, Number.NaN]) expect(refusal({}, vocabulary).code).toBe("E_OPTION")
  })
})
