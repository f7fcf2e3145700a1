/** From text to words: the normalizer and pre_tokenizer of a tokenizer.json, run by @huggingface/tokenizers, within bounds. */
import * as library from "@huggingface/tokenizers"
import { ForerunError } from "../base/errors.ts"
import { runGuarded } from "./guard.ts"
import { splitBehaviors, splitByPattern } from "./split-by-pattern.ts"
import { isLinearPattern } from "./split-patterns.ts"

export interface WordSplitter {
  normalize(text: string): string
  /** `isFirst`: whether this stretch begins the text (some tokenizers mark only that place with a space). */
  split(text: string, isFirst: boolean): string[]
}

// The package's typings re-export without file extensions, which NodeNext does not resolve: what we use of it, typed here.
const { SequenceNormalizer, SequencePreTokenizer, SplitPreTokenizer } = library as unknown as {
  SequenceNormalizer: new (config: {
    type: "Sequence"
    normalizers: readonly Component[]
  }) => {
    normalize(text: string): string
  }
  SplitPreTokenizer: new (config: Component) => { readonly pattern: RegExp | null }
  SequencePreTokenizer: new (config: {
    type: "Sequence"
    pretokenizers: readonly Component[]
  }) => {
    pre_tokenize_text(text: string, options: { section_index: number }): string[]
  }
}

type Component = Readonly<Record<string, unknown>> & { readonly type: string }

const maxComponents = 32
const maxPattern = 8192 // characters
const maxContent = 64 // characters that one replacement may insert
const maxGrowth = 16 // times the length of the text, plus a little

/** Throws E_TOKENIZER for components that are malformed, unknown or absurd. `undefined` = none. */
export function createWordSplitter(normalizer: unknown, preTokenizer: unknown): WordSplitter {
  const normalizers = flatten(normalizer, "normalizers", "normalizer")
  const splitters = flatten(preTokenizer, "pretokenizers", "pre_tokenizer")
  const isTrusted = [...normalizers, ...splitters].every(isLinear)
  // One step each, so that growth is seen between them.
  const normalSteps = normalizers.map((config) =>
    build(() => new SequenceNormalizer({ type: "Sequence", normalizers: [config] })),
  )
  const splitSteps = splitters.map((config) => build(() => createStep(config)))

  const within = <Result>(text: string, work: () => Result): Result => {
    try {
      return isTrusted ? work() : runGuarded(work, 2000 + Math.ceil(text.length / 100), "splitting the text into words")
    } catch (thrown) {
      if (thrown instanceof ForerunError) throw thrown
      // What is left is the regular expression engine giving up (too much backtracking state) or a wrong type in the file.
      throw new ForerunError("E_TOKENIZER", `splitting the text into words failed: ${messageOf(thrown)}`, {
        cause: thrown,
      })
    }
  }
  return {
    normalize: (text) =>
      normalSteps.length === 0
        ? text
        : within(text, () =>
            normalSteps.reduce<string>((before, step) => {
              const after = step.normalize(before)
              if (after.length <= maxGrowth * text.length + 1024) return after
              throw new ForerunError(
                "E_TOKENIZER",
                `the normalizer makes ${text.length} characters into ${after.length}`,
              )
            }, text),
          ),
    split: (text, isFirst) => {
      if (splitSteps.length === 0) return [text]
      return within(text, () =>
        splitSteps.reduce((words: string[], step) => words.flatMap((word) => step(word, isFirst)), [text]),
      )
    },
  }
}

/** One component as a function from a word to words. */
function createStep(config: Component): (text: string, isFirst: boolean) => string[] {
  if (config.type === "Split") {
    // Only the translation of the pattern is the library's: it does not know all behaviours (0.2.0).
    const { pattern } = new SplitPreTokenizer({ ...config, invert: false })
    if (pattern === null) throw new ForerunError("E_TOKENIZER", "a Split's pattern must be a {Regex} or {String}")
    return (text) => splitByPattern(text, pattern, config.behavior, config.invert === true)
  }
  const step = new SequencePreTokenizer({ type: "Sequence", pretokenizers: [config] })
  return (text, isFirst) => step.pre_tokenize_text(text, { section_index: isFirst ? 0 : 1 })
}

function build<Step>(make: () => Step): Step {
  try {
    return make()
  } catch (thrown) {
    throw new ForerunError("E_TOKENIZER", messageOf(thrown), { cause: thrown })
  }
}

const messageOf = (thrown: unknown): string => (thrown instanceof Error ? thrown.message : String(thrown)).slice(0, 300)

/** Sequences inside sequences as one list of checked components. */
function flatten(config: unknown, key: string, where: string, depth = 0): Component[] {
  if (config === undefined || config === null) return []
  if (typeof config !== "object" || Array.isArray(config) || typeof (config as Component).type !== "string") {
    throw new ForerunError("E_TOKENIZER", `${where} must be an object with a type`)
  }
  const component = config as Component
  if (component.type === "Sequence") {
    const parts = component[key]
    if (!Array.isArray(parts) || parts.length > maxComponents || depth > 4) {
      throw new ForerunError("E_TOKENIZER", `${where}.${key} must list at most ${maxComponents} components`)
    }
    const all = parts.flatMap((part, i) => flatten(part, key, `${where}.${key}[${i}]`, depth + 1))
    if (all.length <= maxComponents) return all
    throw new ForerunError("E_TOKENIZER", `${where} has ${all.length} components; at most ${maxComponents} make sense`)
  }
  checkFields(component, where)
  return [component]
}

function checkFields(component: Component, where: string): void {
  for (const field of ["prepend", "content", "replacement", "str_rep"]) {
    const value = component[field]
    if (value !== undefined && (typeof value !== "string" || value.length > maxContent)) {
      throw new ForerunError("E_TOKENIZER", `${where}.${field} must be a text of at most ${maxContent} characters`)
    }
  }
  const { pattern } = component
  if (pattern === undefined && (component.type === "Split" || component.type === "Replace")) {
    throw new ForerunError("E_TOKENIZER", `${where} needs a pattern`)
  }
  if (pattern !== undefined) {
    const text = regexOf(component) ?? (pattern as { String?: unknown } | null)?.String
    if (typeof text !== "string" || text === "" || text.length > maxPattern) {
      throw new ForerunError(
        "E_TOKENIZER",
        `${where}.pattern must be a {Regex} or {String} of 1 to ${maxPattern} characters`,
      )
    }
  }
  const { behavior, length } = component
  if (component.type === "Split" && !splitBehaviors.includes(behavior)) {
    throw new ForerunError("E_TOKENIZER", `${where}.behavior must be one of ${splitBehaviors.join(", ")}`)
  }
  if (component.type === "FixedLength" && !(Number.isInteger(length) && (length as number) > 0)) {
    throw new ForerunError("E_TOKENIZER", `${where}.length must be a positive whole number, found ${String(length)}`)
  }
}

function regexOf(component: Component): unknown {
  return (component.pattern as { Regex?: unknown } | null | undefined)?.Regex
}

const linearTypes: ReadonlySet<string> = new Set(
  "NFC NFD NFKC NFKD Lowercase Prepend StripAccents BertNormalizer ByteLevel Metaspace WhitespaceSplit Digits BertPreTokenizer".split(
    " ",
  ),
)

function isLinear(component: Component): boolean {
  const regex = regexOf(component)
  if (component.type === "Split" || component.type === "Replace") {
    return regex === undefined || (typeof regex === "string" && isLinearPattern(regex))
  }
  return linearTypes.has(component.type)
}
