/** Checked access to a model's settings: only the keys asked for are read, and every number has a sane range. */

import { configError } from "./format-error.ts"
import { kindOf } from "./json.ts"

export interface Range {
  readonly min: number
  readonly max: number
}

/** Settings from config.json or GGUF metadata. A missing key and null both give the fallback, else E_CONFIG. */
export interface Fields {
  /** Present, even if null. */
  has(key: string): boolean
  value(key: string): unknown
  integer(key: string, range: Range, fallback?: number): number
  optionalInteger(key: string, range: Range): number | undefined
  number(key: string, range: Range, fallback?: number): number
  optionalNumber(key: string, range: Range): number | undefined
  boolean(key: string, fallback: boolean): boolean
  text(key: string, fallback?: string): string
  optionalText(key: string): string | undefined
  numbers(key: string, range: Range): number[]
  integers(key: string, range: Range): number[]
  object(key: string): Fields | undefined
}

/**
 * @param where the file, for errors
 * @param prefix printed before each key (the path of a nested object)
 */
export function fieldsOf(values: ReadonlyMap<string, unknown>, where: string, prefix = ""): Fields {
  const wrong = (key: string, needed: string, found: unknown) =>
    configError(`${where}: ${prefix}${key} needs ${needed}, found ${kindOf(found)}`)

  const checked = (key: string, found: unknown, range: Range, whole: boolean): number => {
    const fits = typeof found === "number" && found >= range.min && found <= range.max // NaN fails both
    if (fits && (!whole || Number.isInteger(found))) return found
    throw wrong(key, `${whole ? "an integer" : "a number"} from ${range.min} to ${range.max}`, found)
  }
  const one = (key: string, range: Range, whole: boolean): number | undefined => {
    const found = values.get(key)
    return found === undefined ? undefined : checked(key, found, range, whole)
  }
  const required = (key: string, found: number | undefined, fallback: number | undefined): number => {
    const result = found ?? fallback
    if (result === undefined) throw wrong(key, "a number", undefined)
    return result
  }
  const many = (key: string, range: Range, whole: boolean): number[] => {
    const found = values.get(key)
    if (!Array.isArray(found)) throw wrong(key, "a list of numbers", found)
    return found.map((each, index) => checked(`${key}[${index}]`, each, range, whole))
  }
  const optionalText = (key: string): string | undefined => {
    const found = values.get(key)
    if (found === undefined || typeof found === "string") return found
    throw wrong(key, "a string", found)
  }

  return {
    has: (key) => values.has(key),
    value: (key) => values.get(key),
    integer: (key, range, fallback) => required(key, one(key, range, true), fallback),
    optionalInteger: (key, range) => one(key, range, true),
    number: (key, range, fallback) => required(key, one(key, range, false), fallback),
    optionalNumber: (key, range) => one(key, range, false),
    numbers: (key, range) => many(key, range, false),
    integers: (key, range) => many(key, range, true),
    boolean: (key, fallback) => {
      const found = values.get(key)
      if (found === undefined) return fallback
      if (typeof found !== "boolean") throw wrong(key, "true or false", found)
      return found
    },
    optionalText,
    text: (key, fallback) => {
      const found = optionalText(key) ?? fallback
      if (found === undefined) throw wrong(key, "a string", undefined)
      return found
    },
    object: (key) => {
      const found = values.get(key)
      if (found === undefined) return undefined
      if (!(found instanceof Map)) throw wrong(key, "an object", found)
      return fieldsOf(found, where, `${prefix}${key}.`)
    },
  }
}

/** Ranges that no real model leaves: wide enough for the largest known, narrow enough to stop absurd allocations. */
export const LIMITS = {
  layers: { min: 1, max: 4096 },
  width: { min: 1, max: 1_000_000 },
  heads: { min: 1, max: 65_536 },
  headSize: { min: 1, max: 65_536 },
  vocabulary: { min: 1, max: 4_000_000 },
  context: { min: 1, max: 1_000_000_000 },
  window: { min: 1, max: 1_000_000_000 },
  token: { min: 0, max: 4_000_000 },
  epsilon: { min: 0, max: 1 },
  ropeBase: { min: 1.001, max: 1e15 },
  factor: { min: 1e-6, max: 1e6 },
  positive: { min: 1e-9, max: 1e9 },
} as const satisfies Record<string, Range>
