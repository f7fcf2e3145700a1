/** What an answer must look like: a JSON Schema, a regular expression, a grammar in EBNF, or tags among free text. */
import { ForerunError } from "../../base/errors.ts"

export type Grammar =
  | { readonly jsonSchema: unknown }
  /** The whole answer matches it. */
  | { readonly regex: string }
  /** GBNF, as llama.cpp and XGrammar write it; begins at `root`. */
  | { readonly ebnf: string }
  /** XGrammar's structural tag: a format of tags, texts, schemas and grammars. */
  | { readonly tags: Readonly<Record<string, unknown>> }

const maxLength = 256 << 10 // characters: what a grammar costs grows with it
const maxDepth = 64

/**
 * Says early what is wrong, and where: the compiler itself can only give up.
 * @throws ForerunError E_GRAMMAR
 */
export function checkGrammar(grammar: Grammar): Grammar {
  const entries = typeof grammar === "object" && grammar !== null ? Object.entries(grammar) : []
  const [kind, value] = entries[0] ?? []
  if (entries.length !== 1 || kind === undefined || !["jsonSchema", "regex", "ebnf", "tags"].includes(kind))
    throw refuse("a grammar is one of jsonSchema, regex, ebnf or tags")
  if (kind === "regex" || kind === "ebnf") {
    if (typeof value !== "string" || value === "") throw refuse(`${kind} must be a text, not empty`)
    if (value.length > maxLength) throw refuse(`${kind} has ${value.length} characters; at most ${maxLength} are read`)
    return grammar
  }
  const text = JSON.stringify(value) ?? ""
  if (text.length > maxLength) throw refuse(`${kind} has ${text.length} characters; at most ${maxLength} are read`)
  if (kind === "jsonSchema") checkSchema(value, value, "#", 0)
  return grammar
}

const refuse = (message: string) => new ForerunError("E_GRAMMAR", message)

/** JSON Schema's keywords that the compiler passes over: an answer would not keep to them. */
const unenforced = new Set([
  ...["not", "if", "then", "else", "contains", "minContains", "maxContains", "uniqueItems", "multipleOf"],
  ...["dependentSchemas", "dependentRequired", "dependencies", "unevaluatedItems", "$dynamicRef", "$recursiveRef"],
])

const listed = new Set(["anyOf", "oneOf", "allOf", "prefixItems"])
const named = new Set(["properties", "patternProperties", "$defs", "definitions"])
const single = new Set(["items", "additionalProperties", "propertyNames", "unevaluatedProperties"])

function checkSchema(schema: unknown, root: unknown, at: string, depth: number): void {
  if (typeof schema === "boolean") return
  if (depth > maxDepth) throw refuse(`${at}: a schema may nest ${maxDepth} levels deep, no more`)
  if (!isObject(schema)) throw refuse(`${at}: a schema is an object, true or false`)
  for (const [keyword, value] of Object.entries(schema)) {
    const place = `${at}/${keyword}`
    if (unenforced.has(keyword)) throw refuse(`${place}: the keyword ${JSON.stringify(keyword)} cannot be enforced`)
    const below = (inner: unknown, name: string) => checkSchema(inner, root, `${place}${name}`, depth + 1)
    if (keyword === "$ref") checkReference(value, root, place)
    else if (keyword === "pattern" && typeof value !== "string") throw refuse(`${place}: a pattern is a text`)
    else if (keyword === "allOf" && Array.isArray(value) && value.length > 1)
      throw refuse(`${place}: "allOf" of more than one schema cannot be enforced`)
    else if (listed.has(keyword)) {
      if (!Array.isArray(value) || value.length === 0) throw refuse(`${place}: a list of schemas is needed`)
      for (const [i, inner] of value.entries()) below(inner, `/${i}`)
    } else if (named.has(keyword)) {
      if (!isObject(value)) throw refuse(`${place}: an object of schemas is needed`)
      for (const [name, inner] of Object.entries(value)) below(inner, `/${name}`)
    } else if (single.has(keyword)) below(value, "")
  }
}

/** Only places of the same schema; others would have to be fetched. */
function checkReference(reference: unknown, root: unknown, at: string): void {
  if (typeof reference !== "string" || !/^#(\/|$)/.test(reference))
    throw refuse(`${at}: only references inside the schema (#/…) are followed`)
  let found: unknown = root
  for (const part of reference.slice(2).split("/").filter(Boolean)) {
    const key = decodeURIComponent(part).replaceAll("~1", "/").replaceAll("~0", "~")
    if (typeof found !== "object" || found === null || !Object.hasOwn(found, key))
      throw refuse(`${at}: ${reference} is nowhere in the schema`)
    found = (found as Record<string, unknown>)[key]
  }
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value)
