/** Symbolic dimensions: a size known at build time, or a polynomial over names that are known when a pass runs. */

/** A number, or a canonical expression such as "rows", "3*rows", "blocks*128+rows". */
export type Dim = number | string
export type Shape = readonly Dim[]

/** monomial ("" for the constant term, "blocks*rows" otherwise) → coefficient */
type Polynomial = Map<string, number>

function parse(dim: Dim): Polynomial {
  const terms: Polynomial = new Map()
  if (typeof dim === "number") return dim === 0 ? terms : terms.set("", dim)
  for (const term of dim.split("+")) {
    const factors = term.split("*")
    const coefficient = /^-?\d+$/.test(factors[0]!) ? Number(factors.shift()) : 1
    addTerm(terms, factors.sort().join("*"), coefficient)
  }
  return terms
}

function addTerm(terms: Polynomial, monomial: string, coefficient: number): void {
  const sum = (terms.get(monomial) ?? 0) + coefficient
  if (sum === 0) terms.delete(monomial)
  else terms.set(monomial, sum)
}

function canonical(terms: Polynomial): Dim {
  if (terms.size === 0) return 0
  if (terms.size === 1 && terms.has("")) return terms.get("")!
  return [...terms]
    .sort(([a], [b]) => (a === "" ? 1 : b === "" ? -1 : a < b ? -1 : 1))
    .map(([monomial, c]) => (monomial === "" ? String(c) : c === 1 ? monomial : `${c}*${monomial}`))
    .join("+")
}

export function dimAdd(a: Dim, b: Dim): Dim {
  if (typeof a === "number" && typeof b === "number") return a + b
  const sum = parse(a)
  for (const [monomial, coefficient] of parse(b)) addTerm(sum, monomial, coefficient)
  return canonical(sum)
}

export function dimMultiply(a: Dim, b: Dim): Dim {
  if (typeof a === "number" && typeof b === "number") return a * b
  const product: Polynomial = new Map()
  for (const [left, x] of parse(a))
    for (const [right, y] of parse(b)) {
      const factors = [...left.split("*"), ...right.split("*")].filter((factor) => factor !== "")
      addTerm(product, factors.sort().join("*"), x * y)
    }
  return canonical(product)
}

/** a / b where b divides every term, else undefined. b is a number or a single monomial. */
export function dimDivide(a: Dim, b: Dim): Dim | undefined {
  if (typeof a === "number" && typeof b === "number") return b !== 0 && a % b === 0 ? a / b : undefined
  const divisor = [...parse(b)]
  if (divisor.length !== 1) return dimEqual(a, b) ? 1 : undefined
  const [monomial, coefficient] = divisor[0]!
  const quotient: Polynomial = new Map()
  for (const [term, c] of parse(a)) {
    const factors = term === "" ? [] : term.split("*")
    for (const factor of monomial === "" ? [] : monomial.split("*")) {
      const at = factors.indexOf(factor)
      if (at < 0) return undefined
      factors.splice(at, 1)
    }
    if (c % coefficient !== 0) return undefined
    addTerm(quotient, factors.join("*"), c / coefficient)
  }
  return canonical(quotient)
}

export function dimEqual(a: Dim, b: Dim): boolean {
  return a === b || (typeof a === "string" && typeof b === "string" && canonical(parse(a)) === canonical(parse(b)))
}

export const dimProduct = (shape: Shape): Dim => shape.reduce((product, dim) => dimMultiply(product, dim), 1 as Dim)

export const shapeEqual = (a: Shape, b: Shape): boolean =>
  a.length === b.length && a.every((dim, i) => dimEqual(dim, b[i]!))

export const shapeText = (shape: Shape): string => `[${shape.join(", ")}]`
