/** Terminal output: what is escaped, what is coloured, how tables and sizes read. */
import { describe, expect, it } from "vitest"
import { escapeControls, formatBytes, hasColour, printable, styled, table } from "./terminal.ts"

describe("escapeControls", () => {
  it("makes every control but line feed and tab visible, and keeps all else", () => {
    expect(escapeControls("\u001b]0;title\u0007\u001b[2J")).toBe("␛]0;title␇␛[2J")
    expect(escapeControls("a\r\nb\tc\u007f\u009b31m")).toBe("a␍\nb\tc␡\ufffd31m")
    expect(escapeControls("é 漢字 🙂")).toBe("é 漢字 🙂")
  })

  it("leaves nothing in C0, DEL or C1 for any of the first 256 characters", () => {
    const all = Array.from({ length: 256 }, (_, code) => String.fromCharCode(code)).join("")
    const left = [...escapeControls(all)].filter((character) => /\p{Cc}/u.test(character))
    expect(left).toEqual(["\t", "\n"])
  })

  it("is for terminals: a file gets the text as it is", () => {
    expect(printable("\u001b", {})).toBe("\u001b")
    expect(printable("\u001b", { isTTY: true })).toBe("␛")
  })
})

describe("colour", () => {
  it("is for terminals that did not decline it", () => {
    expect(hasColour({ isTTY: true }, {})).toBe(true)
    expect(hasColour({ isTTY: false }, {})).toBe(false)
    expect(hasColour({ isTTY: true }, { NO_COLOR: "1" })).toBe(false)
    expect(hasColour({ isTTY: true }, { TERM: "dumb" })).toBe(false)
    expect(styled("x", "dim", {})).toBe("x")
  })
})

it("pads the columns of a table", () => {
  expect(table(["a", "bb"], [["long", "1"], ["s"]])).toBe("a     bb\nlong  1\ns")
})

it("writes sizes with three figures at most", () => {
  expect([0, 999, 1000, 98_362_432, 455_000, 2e12].map(formatBytes)).toEqual([
    "0 B",
    "999 B",
    "1.0 kB",
    "98.4 MB",
    "455 kB",
    "2.0 TB",
  ])
})
