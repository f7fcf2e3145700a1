/** Stopping: ids, strings across tokens, text held back, and a slow reference on random token texts. */

import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { createStopper, type Stopper, type StopperResult } from "./stop.ts"

/** Token id → its text; `tail` is what the decoder still holds at the end. */
function decoderOf(texts: readonly string[], tail = "") {
  return { push: (id: number) => texts[id]!, flush: () => tail }
}

function stopperOf(texts: readonly string[], stopStrings: readonly string[], tail = ""): Stopper {
  return createStopper({ stopStrings, decode: decoderOf(texts, tail) })
}

/** Pushes every text in turn, then flushes; gives each piece and the whole. */
function runAll(texts: readonly string[], stopStrings: readonly string[], tail = "") {
  const stopper = stopperOf(texts, stopStrings, tail)
  const results: StopperResult[] = texts.map((_, id) => stopper.push(id))
  results.push(stopper.flush())
  const end = results.findIndex((result) => result.stopped !== undefined)
  return { pieces: results.map(({ text }) => text), text: results.map(({ text }) => text).join(""), end, results }
}

/** Decode everything, then cut at the first place where a stop string ends; the longest of those ending there. */
function reference(text: string, stopStrings: readonly string[]): { text: string; stopString?: string } {
  for (let end = 1; end <= text.length; end++) {
    const ending = stopStrings.filter((stop) => text.slice(0, end).endsWith(stop))
    const longest = ending.sort((a, b) => b.length - a.length)[0]
    if (longest !== undefined) return { text: text.slice(0, end - longest.length), stopString: longest }
  }
  return { text }
}

describe("stop strings", () => {
  it("cuts inside a token and drops what follows", () => {
    const { pieces, results } = runAll(["one", " END tail", " more"], ["END"])
    expect(pieces).toEqual(["one", " ", "", ""])
    expect(results[1]).toEqual({ text: " ", stopped: "string", stopString: "END" })
    expect(results[2]).toEqual({ text: "", stopped: "string", stopString: "END" })
  })

  it("finds one that spans tokens, and holds back only what may belong to it", () => {
    expect(runAll(["a<", "|e", "nd", "|>b"], ["<|end|>"]).pieces).toEqual(["a", "", "", "", ""])
    expect(runAll(["a<", "|x", "nd"], ["<|end|>"]).pieces).toEqual(["a", "<|x", "nd", ""])
  })

  it("releases held text at the end", () => {
    expect(runAll(["a<", "|e"], ["<|end|>"]).pieces).toEqual(["a", "", "<|e"])
  })

  it("falls back correctly inside a string that repeats itself", () => {
    expect(runAll(["aab", "aabaa", "c!"], ["aabaac"]).text).toBe("aab")
    expect(runAll(["a", "a", "a", "a", "b"], ["aab"]).text).toBe("aa")
  })

  it("lets the string that ends first win, and of those ending together the longest", () => {
    expect(runAll(["abcd"], ["abcd", "bc"])).toMatchObject({ text: "a", end: 0 })
    expect(runAll(["xab"], ["b", "ab"]).results[0]).toEqual({ text: "x", stopped: "string", stopString: "ab" })
  })

  it("keeps what was held for a longer string when a shorter one inside it matches", () => {
    expect(runAll(["1ab", "c"], ["abX", "bc"])).toMatchObject({ text: "1a" })
  })

  it("keeps held text when a token has no text yet", () => {
    expect(runAll(["a\n", "", "\n"], ["\n\n"])).toMatchObject({ text: "a", end: 2 })
  })

  it("scans what the decoder releases at the end", () => {
    expect(runAll(["aE"], ["END"], "ND!")).toMatchObject({ text: "a", end: 1 })
  })

  it("never cuts a surrogate pair", () => {
    expect(runAll(["x😁", "y"], ["😀"]).pieces).toEqual(["x😁", "y", ""]) // 😀 and 😁 share their first unit
  })

  it("equals the slow reference, however tokens cut the text", () => {
    const piece = fc.string({ unit: fc.constantFrom("a", "b", "c"), maxLength: 5 })
    const stop = fc.string({ unit: fc.constantFrom("a", "b", "c"), minLength: 1, maxLength: 6 })
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), fc.array(stop, { maxLength: 4 }), piece, (texts, stops, tail) => {
        const { text, results } = runAll(texts, stops, tail)
        const { stopString } = results.at(-1)!
        expect({ text, stopString }).toEqual({ stopString: undefined, ...reference(texts.join("") + tail, stops) })
      }),
      { numRuns: 5000 },
    )
  })

  it("never holds back text that cannot belong to a stop string", () => {
    const piece = fc.string({ unit: fc.constantFrom("a", "b"), maxLength: 4 })
    const stop = fc.string({ unit: fc.constantFrom("a", "b"), minLength: 1, maxLength: 5 })
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 8 }), fc.array(stop, { maxLength: 3 }), (texts, stops) => {
        const stopper = stopperOf(texts, stops)
        let given = ""
        let decoded = ""
        for (const [id, text] of texts.entries()) {
          const result = stopper.push(id)
          if (result.stopped !== undefined) return
          given += result.text
          decoded += text
          const held = decoded.slice(given.length)
          expect(given + held).toBe(decoded)
          if (held !== "") expect(stops.some((candidate) => candidate.startsWith(held))).toBe(true)
        }
      }),
      { numRuns: 2000 },
    )
  })
})

describe("stop ids", () => {
  const decode = decoderOf(["a", "b<", "</s>"], "")

  it("stops without text of its own and releases what was held", () => {
    const stopper = createStopper({ stopIds: [2, 7], stopStrings: ["<x"], decode })
    expect(stopper.push(0)).toEqual({ text: "a" })
    expect(stopper.push(1)).toEqual({ text: "b" })
    expect(stopper.push(2)).toEqual({ text: "<", stopped: "id" })
    expect(stopper.push(0)).toEqual({ text: "", stopped: "id" })
    expect(stopper.flush()).toEqual({ text: "", stopped: "id" })
  })

  it("releases the decoder's rest, unless that completes a stop string", () => {
    const stop = (stopStrings: string[]) =>
      createStopper({ stopIds: [9], stopStrings, decode: decoderOf([], "tail") }).push(9)
    expect(stop([])).toEqual({ text: "tail", stopped: "id" })
    expect(stop(["il"])).toEqual({ text: "ta", stopped: "string", stopString: "il" })
  })
})

describe("refusals", () => {
  const decode = decoderOf([])
  it.each([
    ["empty", [""]],
    ["too long", ["x".repeat(1001)]],
    ["too many", new Array(65).fill("x")],
    ["half a surrogate pair", ["\ud83d"]],
    ["not a string", [1]],
    ["not a list", "stop"],
  ])("refuses stop strings: %s", (_, stopStrings) => {
    const create = () => createStopper({ stopStrings: stopStrings as string[], decode })
    expect(create).toThrow(expect.objectContaining({ code: "E_OPTION" }))
  })

  it.each([-1, 1.5, Number.NaN, "1"])("refuses the stop id %s", (id) => {
    const create = () => createStopper({ stopIds: [id as number], decode })
    expect(create).toThrow(expect.objectContaining({ code: "E_OPTION" }))
  })
})
