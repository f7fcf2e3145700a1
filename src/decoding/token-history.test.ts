/** A history after any pushes and pops equals one built from the same tokens. */

import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { createTokenHistory } from "./token-history.ts"

const INPUT = expect.objectContaining({ code: "E_INPUT" })

describe("createTokenHistory", () => {
  it("counts the output and remembers the prompt apart", () => {
    const history = createTokenHistory([5, 5, 7], [7, 8, 8])
    expect(history.promptTokens).toEqual(new Set([5, 7]))
    expect(history.outputCounts).toEqual(
      new Map([
        [7, 1],
        [8, 2],
      ]),
    )
    expect(history.length).toBe(3)
  })

  it("undoes what was pushed, along any walk through a tree", () => {
    const token = fc.integer({ min: 0, max: 4 })
    const move = fc.oneof(token, fc.constant("pop" as const), fc.record({ rewind: fc.nat(3) }))
    fc.assert(
      fc.property(fc.array(token), fc.array(move, { maxLength: 40 }), (prompt, moves) => {
        const history = createTokenHistory(prompt)
        const tokens: number[] = []
        for (const next of moves) {
          if (typeof next === "number") {
            history.push(next)
            tokens.push(next)
          } else if (next === "pop") {
            if (tokens.length > 0) expect(history.pop()).toBe(tokens.pop())
          } else {
            const length = Math.max(0, tokens.length - next.rewind)
            history.rewind(length)
            tokens.length = length
          }
          const fresh = createTokenHistory(prompt, tokens)
          expect(history.outputCounts).toEqual(fresh.outputCounts)
          expect(history.length).toBe(tokens.length)
        }
      }),
    )
  })

  it("forks into a copy of its own", () => {
    const history = createTokenHistory([1], [2])
    const branch = history.fork()
    branch.push(3)
    history.pop()
    expect([...branch.outputCounts.keys()]).toEqual([2, 3])
    expect(history.length).toBe(0)
  })

  it("refuses what is no token, and to take back what is not there", () => {
    for (const token of [-1, 1.5, Number.NaN, undefined as never]) {
      expect(() => createTokenHistory([token])).toThrow(INPUT)
      expect(() => createTokenHistory().push(token)).toThrow(INPUT)
    }
    expect(() => createTokenHistory([1]).pop()).toThrow(INPUT)
    for (const length of [2, -1, 0.5]) expect(() => createTokenHistory([1], [1]).rewind(length)).toThrow(INPUT)
  })
})
