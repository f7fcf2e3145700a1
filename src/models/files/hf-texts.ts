/** The text files beside a Hugging Face model: tokenizer, chat template, generation settings, licence. */

import { join } from "node:path"
import type { TokenizerSource } from "../../text/tokenizer.ts"
import { configError, formatError } from "./format-error.ts"
import { type Json, type JsonObject, parseJsonObject } from "./json.ts"
import { readOptionalText } from "./text-file.ts"

export interface HfTexts {
  readonly generation: JsonObject | undefined
  readonly tokenizer: TokenizerSource | undefined
  readonly chatTemplate: string | undefined
  readonly license: string | undefined
}

const LONGEST_TOKENIZER = 256 * 2 ** 20
const LONGEST_TEXT = 16 * 2 ** 20

/** @throws ForerunError E_MODEL_FORMAT, E_CONFIG, E_IO */
export function readHfTexts(folder: string): HfTexts {
  const optional = (name: string, longest = LONGEST_TEXT) => readOptionalText(join(folder, name), longest)
  const generation = optional("generation_config.json")
  const settings = optional("tokenizer_config.json")
  const json = optional("tokenizer.json", LONGEST_TOKENIZER)
  const config = settings === undefined ? undefined : anyJson(settings, join(folder, "tokenizer_config.json"))
  return {
    generation:
      generation === undefined
        ? undefined
        : parseJsonObject(generation, join(folder, "generation_config.json"), configError),
    tokenizer:
      json === undefined
        ? undefined
        : {
            kind: "tokenizer.json",
            json: anyJson(json, join(folder, "tokenizer.json")),
            ...(config === undefined ? {} : { config }),
          },
    chatTemplate: optional("chat_template.jinja") ?? templateOf(config),
    license: licenseOf(optional("README.md")),
  }
}

/** Tokenizers are up to 30 MB, too slow for the strict parser; who reads the result checks it. */
function anyJson(text: string, path: string): unknown {
  try {
    return JSON.parse(text)
  } catch (thrown) {
    throw formatError(`${path}: not JSON (${thrown instanceof Error ? thrown.message.slice(0, 120) : "unreadable"})`)
  }
}

/** A string, or a list of { name, template } of which "default" is taken. */
function templateOf(config: unknown): string | undefined {
  const found = property(config, "chat_template")
  if (typeof found === "string") return found
  if (!Array.isArray(found)) return undefined
  const named = found.find((each) => property(each, "name") === "default") ?? found[0]
  const template = property(named, "template")
  return typeof template === "string" ? template : undefined
}

function property(value: unknown, key: string): unknown {
  if (typeof value !== "object" || value === null || !Object.hasOwn(value, key)) return undefined
  return (value as Record<string, Json>)[key]
}

/** The model card's front matter: license: apache-2.0 */
function licenseOf(card: string | undefined): string | undefined {
  const front = card === undefined ? undefined : /^---\r?\n([\s\S]{0,20000}?)\r?\n---/.exec(card)?.[1]
  return front === undefined ? undefined : /^license:\s*["']?([\w.+-]{1,64})["']?\s*$/m.exec(front)?.[1]
}
