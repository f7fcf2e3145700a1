/** The algebra of symbolic sizes, against numbers put in for the names. */
import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { type Dim, dimAdd, dimDivide, dimEqual, dimMultiply, dimProduct } from "./dim.ts"

const names = { rows: 7, tail: 11, blocks: 13 }

/** A size's value for the numbers above, computed from its text alone. */
function numberOf(dim: Dim): number {
  return String(dim)
    .split("+")
    .map((term) =>
      term.split("*").reduce((n, factor) => n * (names[factor as keyof typeof names] ?? Number(factor)), 1),
    )
    .reduce((sum, term) => sum + term, 0)
}

const leaf: fc.Arbitrary<Dim> = fc.oneof(fc.integer({ min: 0, max: 200 }), fc.constantFrom("rows", "tail", "blocks"))
const dims: fc.Arbitrary<Dim> = fc
  .array(fc.tuple(fc.boolean(), leaf), { minLength: 1, maxLength: 5 })
  .map((parts) => parts.reduce<Dim>((dim, [plus, part]) => (plus ? dimAdd(dim, part) : dimMultiply(dim, part)), 1))

describe("sizes", () => {
  test("sums and products have the values of their operands' sums and products", () => {
    fc.assert(
      fc.property(dims, dims, (a, b) => {
        expect(numberOf(dimAdd(a, b))).toBe(numberOf(a) + numberOf(b))
        expect(numberOf(dimMultiply(a, b))).toBe(numberOf(a) * numberOf(b))
      }),
    )
  })

  test("are canonical: equal however they came about", () => {
    fc.assert(
      fc.property(dims, dims, dims, (a, b, c) => {
        expect(dimAdd(a, b)).toBe(dimAdd(b, a))
        expect(dimMultiply(a, dimAdd(b, c))).toBe(dimAdd(dimMultiply(a, b), dimMultiply(a, c)))
        expect(dimProduct([a, b, c])).toBe(dimMultiply(c, dimMultiply(b, a)))
        expect(dimEqual(dimAdd(a, 1), a)).toBe(false)
      }),
    )
  })

  test("a product divided by a single term is the other factor", () => {
    fc.assert(
      fc.property(dims, fc.integer({ min: 1, max: 50 }), fc.constantFrom<Dim>(1, "rows", "tail"), (a, n, name) => {
        const divisor = dimMultiply(n, name)
        expect(dimDivide(dimMultiply(a, divisor), divisor)).toBe(a)
      }),
    )
  })

  test("what does not divide has no quotient", () => {
    expect(dimDivide(7, 2)).toBeUndefined()
    expect(dimDivide(7, 0)).toBeUndefined()
    expect(dimDivide("3*rows", 2)).toBeUndefined()
    expect(dimDivide("rows+tail", "rows")).toBeUndefined()
    expect(dimDivide("rows", "tail")).toBeUndefined()
    expect(dimDivide("rows+tail", "tail+rows")).toBe(1)
  })

  test("written in any order, they are the same", () => {
    expect(dimEqual("rows+128*blocks", "blocks*128+rows")).toBe(true)
    expect(dimEqual("rows+128*blocks", "128*blocks+rows")).toBe(true)
    expect(dimEqual("rows*blocks", "blocks*rows")).toBe(true)
    expect(dimEqual("rows", 1)).toBe(false)
  })
})
