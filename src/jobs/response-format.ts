/** What `response_format` asks of an answer, as a grammar. */
import { checkGrammar, type Grammar } from "../generate/grammar/grammar.ts"
import { isObject } from "./request.ts"

/**
 * OpenAI's text, json_object and json_schema; beside them regex `{pattern}` and grammar `{grammar}`.
 * @returns undefined for plain text
 * @throws ForerunError E_GRAMMAR; TypeError for a format that is none
 */
export function grammarOf(format: unknown): Grammar | undefined {
  const { type, ...rest } = isObject(format) ? format : {}
  if (type === "text") return undefined
  if (type === "json_object") return { jsonSchema: { type: "object" } }
  if (type === "regex") return checkGrammar({ regex: rest.pattern as string })
  if (type === "grammar") return checkGrammar({ ebnf: rest.grammar as string })
  if (type === "json_schema" && isObject(rest.json_schema) && rest.json_schema.schema !== undefined)
    return checkGrammar({ jsonSchema: rest.json_schema.schema })
  throw new TypeError(
    "it must be text, json_object, json_schema {json_schema: {schema}}, regex {pattern} or grammar {grammar}",
  )
}
