/** Strict JSON for files we do not trust: objects become Maps, duplicate keys and deep nesting are refused. */

import type { ForerunError } from "../../base/errors.ts"
import { shown } from "./format-error.ts"

/** null is read as undefined. */
export type Json = string | number | boolean | undefined | Json[] | JsonObject
export type JsonObject = Map<string, Json>

const DEEPEST = 32
const SPACE = /[ \t\n\r]*/y
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y
// biome-ignore lint/suspicious/noControlCharactersInRegex: JSON forbids them inside strings
const PLAIN = /[^"\\\u0000-\u001f]*/y
const HEX = /[0-9a-fA-F]{4}/y
const ESCAPES = new Map(Object.entries({ '"': '"', "\\": "\\", "/": "/", b: "\b", f: "\f", n: "\n", r: "\r", t: "\t" }))
const WORDS: readonly (readonly [string, Json])[] = [
  ["true", true],
  ["false", false],
  ["null", undefined],
]

/**
 * JSON.parse keeps the last of two equal keys, which lets one file mean two things; this does not.
 * @param fail makes the error from a message
 */
export function parseJson(text: string, where: string, fail: (message: string) => ForerunError): Json {
  let at = 0

  const wrong = (needed: string): ForerunError => {
    const found = at < text.length ? shown(text.slice(at, at + 20)) : "the end"
    return fail(`${where}: not strict JSON at character ${at}: needed ${needed}, found ${found}`)
  }
  const take = (pattern: RegExp): string => {
    pattern.lastIndex = at
    const found = pattern.exec(text)?.[0] ?? ""
    at += found.length
    return found
  }
  const skip = (character: string): boolean => {
    if (text[at] !== character) return false
    at++
    return true
  }

  const string = (): string => {
    if (!skip('"')) throw wrong("a string")
    let value = take(PLAIN)
    while (!skip('"')) {
      if (!skip("\\")) throw wrong("the end of a string")
      const letter = text[at++] ?? ""
      if (letter === "u") {
        const digits = take(HEX)
        if (digits === "") throw wrong("four hexadecimal digits")
        value += String.fromCharCode(Number.parseInt(digits, 16))
      } else {
        const character = ESCAPES.get(letter)
        if (character === undefined) throw wrong("an escape")
        value += character
      }
      value += take(PLAIN)
    }
    return value
  }

  const list = (depth: number): Json[] => {
    const values: Json[] = []
    take(SPACE)
    if (skip("]")) return values
    do values.push(value(depth))
    while (skip(","))
    if (!skip("]")) throw wrong("',' or ']'")
    return values
  }

  const object = (depth: number): JsonObject => {
    const entries: JsonObject = new Map()
    take(SPACE)
    if (skip("}")) return entries
    do {
      take(SPACE)
      const key = string()
      if (entries.has(key)) throw fail(`${where}: the key ${shown(key)} appears twice in one object`)
      take(SPACE)
      if (!skip(":")) throw wrong("':'")
      entries.set(key, value(depth))
    } while (skip(","))
    if (!skip("}")) throw wrong("',' or '}'")
    return entries
  }

  const bare = (depth: number): Json => {
    if (depth > DEEPEST) throw fail(`${where}: JSON nested deeper than ${DEEPEST}`)
    const first = text[at]
    if (first === '"') return string()
    if (skip("{")) return object(depth + 1)
    if (skip("[")) return list(depth + 1)
    for (const [word, meaning] of WORDS)
      if (text.startsWith(word, at)) {
        at += word.length
        return meaning
      }
    const digits = take(NUMBER)
    if (digits === "") throw wrong("a value")
    return Number(digits)
  }

  const value = (depth: number): Json => {
    take(SPACE)
    const parsed = bare(depth)
    take(SPACE)
    return parsed
  }

  const parsed = value(0)
  if (at !== text.length) throw wrong("the end")
  return parsed
}

/** The same, and it must be an object. */
export function parseJsonObject(text: string, where: string, fail: (message: string) => ForerunError): JsonObject {
  const parsed = parseJson(text, where, fail)
  if (!(parsed instanceof Map)) throw fail(`${where}: needed a JSON object, found ${kindOf(parsed)}`)
  return parsed
}

/** What a value is, in words for an error. */
export function kindOf(value: unknown): string {
  if (value === undefined) return "nothing"
  if (Array.isArray(value)) return `a list of ${value.length}`
  if (value instanceof Map) return "an object"
  if (typeof value === "string") return shown(value)
  return String(value)
}
