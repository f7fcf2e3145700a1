/** When to stop: at a stop id, or where the text first contains a stop string, however tokens cut it up. */

import { ForerunError } from "../base/errors.ts"

/** Tokens to text, a token at a time: `push` gives what is certain by now, `flush` what was still incomplete. */
export interface TokenDecoder {
  push(id: number): string
  flush(): string
}

export interface StopperOptions {
  readonly stopIds?: Iterable<number> | undefined
  /** At most 64, each of 1 to 1,000 UTF-16 units. */
  readonly stopStrings?: readonly string[] | undefined
  readonly decode: TokenDecoder
}

export interface StopperResult {
  /** Text that is certain to belong to the output, to be appended to what came before. */
  readonly text: string
  readonly stopped?: "id" | "string"
  /** Which one, if stopped by a string. */
  readonly stopString?: string
}

/**
 * Text that may be the start of a stop string is held back until that is decided; a stop string and what follows it
 * never appear. Of several stop strings the one that ends first wins, of those that end together the longest, so the
 * result does not depend on where tokens begin and end.
 */
export interface Stopper {
  /** A stop id gives no text of its own but releases what was held back. Once stopped, nothing changes any more. */
  push(token: number): StopperResult
  /** The end for another reason (the limit was reached): releases what was held back. */
  flush(): StopperResult
}

const MAX_STRINGS = 64
const MAX_LENGTH = 1000

/** @throws E_OPTION on stop strings that are empty, too long, too many or not well-formed Unicode, or on malformed ids */
export function createStopper(options: StopperOptions): Stopper {
  const { decode } = options
  const stopIds = checkIds(options.stopIds ?? [])
  const matchers = checkStrings(options.stopStrings ?? []).map(createMatcher)
  let held = ""
  let end: Omit<StopperResult, "text"> | undefined

  /** Appends decoded text; returns what is now certain. */
  function advance(text: string): StopperResult {
    const pending = held + text
    let longest = 0
    for (let i = held.length; i < pending.length; i++) {
      let found: Matcher | undefined
      longest = 0
      for (const matcher of matchers) {
        const matched = matcher.feed(pending.charCodeAt(i))
        longest = Math.max(longest, matched)
        if (matched === matcher.text.length && matched >= (found?.text.length ?? 0)) found = matcher
      }
      if (found === undefined) continue
      held = ""
      end = { stopped: "string", stopString: found.text }
      return { text: pending.slice(0, i + 1 - found.text.length), ...end }
    }
    if (text === "") longest = held.length
    held = pending.slice(pending.length - longest)
    return { text: pending.slice(0, pending.length - longest) }
  }

  function release(): StopperResult {
    const result = advance(decode.flush())
    if (end !== undefined) return result
    const text = result.text + held
    held = ""
    return { text }
  }

  return {
    push(token) {
      if (end !== undefined) return { text: "", ...end }
      if (!stopIds.has(token)) return advance(decode.push(token))
      const { text } = release()
      end ??= { stopped: "id" } // unless the decoder's last piece completed a stop string
      return { text, ...end }
    },
    flush: () => (end === undefined ? release() : { text: "", ...end }),
  }
}

interface Matcher {
  readonly text: string
  /** Takes the next UTF-16 unit; returns how long a prefix of `text` the input now ends with. */
  feed(unit: number): number
}

/** Knuth, Morris, Pratt: never looks back at the input. */
function createMatcher(text: string): Matcher {
  // borders[n] = length of the longest proper prefix of text[0..n) that is also its suffix
  const borders = new Int32Array(text.length + 1)
  let matched = 0
  function advance(unit: number): number {
    while (matched > 0 && (matched === text.length || text.charCodeAt(matched) !== unit)) matched = borders[matched]!
    if (text.charCodeAt(matched) === unit) matched++
    return matched
  }
  for (let i = 1; i < text.length; i++) borders[i + 1] = advance(text.charCodeAt(i))
  matched = 0
  return { text, feed: advance }
}

function checkIds(ids: Iterable<number>): ReadonlySet<number> {
  const checked = new Set(ids)
  for (const id of checked) {
    if (Number.isSafeInteger(id) && id >= 0) continue
    throw new ForerunError("E_OPTION", `a stop id must be an integer of at least 0; found ${id}`)
  }
  return checked
}

function checkStrings(strings: readonly string[]): readonly string[] {
  if (!Array.isArray(strings) || strings.length > MAX_STRINGS) {
    const found = Array.isArray(strings) ? strings.length : typeof strings
    throw new ForerunError("E_OPTION", `stop must be a list of at most ${MAX_STRINGS} strings; found ${found}`)
  }
  for (const text of strings) {
    const length = typeof text === "string" ? text.length : undefined
    if (length === undefined || length === 0 || length > MAX_LENGTH) {
      const found = length === undefined ? typeof text : `${length}`
      throw new ForerunError("E_OPTION", `a stop string must have 1 to ${MAX_LENGTH} characters; found ${found}`)
    }
    // Half a surrogate pair could match inside a character and cut it.
    if (/\p{Surrogate}/u.test(text)) throw new ForerunError("E_OPTION", "a stop string must be well-formed Unicode")
  }
  return strings
}
