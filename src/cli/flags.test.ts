/** Flags: how values are read, and what the command line says when they cannot be. */
import { CommanderError, InvalidArgumentError } from "commander"
import { describe, expect, it } from "vitest"
import { bias, integer, list, number, pair } from "./flags.ts"
import { fromCommander } from "./main.ts"
import { exitCodeOf } from "./output.ts"
import { createProgram } from "./program.ts"
import { readIds } from "./token-ids.ts"

describe("values", () => {
  it("reads decimal numbers and nothing else", () => {
    expect(["1", "-0.5", ".5", "1e-3", "+2."].map(number)).toEqual([1, -0.5, 0.5, 0.001, 2])
    for (const text of ["", " ", "0x10", "NaN", "Infinity", "1e999", "1,5", "1 2"])
      expect(() => number(text), text).toThrow(InvalidArgumentError)
  })

  it("reads whole numbers in their range", () => {
    expect(integer(1, 8)("8")).toBe(8)
    for (const text of ["0", "9", "1.5", "", "1e1"]) expect(() => integer(1, 8)(text), text).toThrow("from 1 to 8")
  })

  it("collects lists, pairs and biases", () => {
    expect(list("b", list("a"))).toEqual(["a", "b"])
    expect(pair("b=x=y", pair("a="))).toEqual({ a: "", b: "x=y" })
    expect(Object.keys(pair("__proto__=1"))).toEqual(["__proto__"])
    expect(bias("7=-1.5", bias("3=2"))).toEqual({ 3: 2, 7: -1.5 })
    expect(() => pair("=x")).toThrow(InvalidArgumentError)
    expect(() => bias("x=1")).toThrow(InvalidArgumentError)
  })

  it("reads token ids as a JSON array or as words", () => {
    expect(readIds("[1, 2,3]\n")).toEqual([1, 2, 3])
    expect(readIds("1 2,3")).toEqual([1, 2, 3])
    expect(readIds("[]")).toEqual([])
    for (const text of ["[1.5]", "[-1]", "[[1]]", "a", '["1"]'])
      expect(() => readIds(text), text).toThrow("not a token id")
  })
})

describe("the program", () => {
  it("has a --json and a --help on every verb", () => {
    const { commands } = createProgram(() => {})
    expect(commands.map((verb) => verb.name()).sort()).toEqual(
      "audit batch bench chat detokenize distil generate inspect ls methods pull race rank rm score serve tokenize train verify".split(
        " ",
      ),
    )
    for (const verb of commands) {
      expect(verb.options.map(({ long }) => long)).toContain("--json")
      expect(verb.helpInformation()).toContain("-h, --help")
    }
  })

  it("turns what commander says into codes", () => {
    const option = fromCommander(new CommanderError(1, "commander.invalidArgument", "error: option '--x' is invalid"))
    expect([option.code, option.message, exitCodeOf(option)]).toEqual(["E_OPTION", "option '--x' is invalid", 2])
    const verb = fromCommander(
      new CommanderError(1, "commander.unknownCommand", "error: unknown command 'genrate'\n(Did you mean generate?)"),
    )
    expect([verb.code, verb.hint]).toEqual(["E_USAGE", "Did you mean generate?"])
  })
})
