/** Keeps user text from spelling control tokens: a sentinel character breaks each spelling and is taken out after tokenising. */
import { ForerunError } from "../base/errors.ts"

const maxDepth = 64 // of nested tool arguments and schemas

/** A Unicode noncharacter (never part of a text's meaning) that occurs in none of the values. */
export function unusedCharacter(...values: readonly unknown[]): string {
  let all: string
  try {
    all = values.map((value) => JSON.stringify(value) ?? "").join()
  } catch (cause) {
    throw new ForerunError("E_INPUT", `messages and tools must be plain data: ${String(cause)}`, { cause })
  }
  for (let code = 0xfdd0; code <= 0xfdef; code++) {
    const character = String.fromCharCode(code)
    if (!all.includes(character)) return character
  }
  throw new ForerunError("E_INPUT", "the messages use all 32 noncharacters U+FDD0 to U+FDEF; at least one must be free")
}

/** A function that copies plain data with every spelling in its texts broken, also one that begins at a text's end. */
export function createBreaker(spellings: Iterable<string>, sentinel: string): <Value>(value: Value) => Value {
  const byFirst = new Map<string, string[]>()
  for (const spelling of spellings) {
    const first = spelling[0]
    if (first === undefined) continue
    const list = byFirst.get(first)
    if (list === undefined) byFirst.set(first, [spelling])
    else list.push(spelling)
  }
  const breakText = (text: string): string => {
    let out = ""
    let from = 0
    for (let at = 0; at < text.length; at++) {
      const candidates = byFirst.get(text[at]!)
      if (candidates === undefined) continue
      // A text that ends inside a spelling could be completed by the text that the template puts behind it.
      const rest = text.length - at
      const isSpelled = candidates.some((spelling) =>
        spelling.length <= rest ? text.startsWith(spelling, at) : text.endsWith(spelling.slice(0, rest)),
      )
      if (!isSpelled) continue
      const end = at + (text.codePointAt(at)! > 0xffff ? 2 : 1)
      out += text.slice(from, end) + sentinel
      from = end
    }
    return out + text.slice(from)
  }
  const copy = (value: unknown, depth: number): unknown => {
    if (typeof value === "string") return breakText(value)
    if (typeof value !== "object" || value === null) return value
    if (depth >= maxDepth)
      throw new ForerunError("E_INPUT", `messages and tools may nest ${maxDepth} levels deep, no more`)
    if (Array.isArray(value)) return value.map((item) => copy(item, depth + 1))
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [breakText(key), copy(item, depth + 1)]))
  }
  return <Value>(value: Value) => copy(value, 0) as Value
}
