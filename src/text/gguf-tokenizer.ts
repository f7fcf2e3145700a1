/** Reads the tokenizer.ggml.* keys of GGUF metadata into a definition. */
import type { AddedToken } from "./added-tokens.ts"
import { patternFamily, patternNames } from "./split-patterns.ts"
import type { TokenizerDefinition } from "./tokenizer-definition.ts"
import { endTokens, malformed, maxAddedToken, maxVocabulary, quoted } from "./tokenizer-definition.ts"

type Metadata = ReadonlyMap<string, unknown>

// Values of tokenizer.ggml.token_type.
const type = { unknown: 2, control: 3, userDefined: 4, byte: 6 } as const

/** Throws E_TOKENIZER for metadata that is malformed or of a kind this version does not run. */
export function readGgufTokenizer(metadata: Metadata): TokenizerDefinition {
  const model = metadata.get("tokenizer.ggml.model")
  if (model !== "gpt2" && model !== "llama") {
    throw malformed(`tokenizer.ggml.model must be gpt2 or llama, found ${quoted(model)}`)
  }
  const { tokens, ids } = readTokens(metadata)
  const types = readNumbers(metadata, "tokenizer.ggml.token_type", tokens.length)
  const idOf = (name: string): number | undefined => readId(metadata, `tokenizer.ggml.${name}_token_id`, tokens)
  const bosToken = idOf("bos")
  const eos = [idOf("eos"), idOf("eot"), idOf("eom")]
  const isControl = (id: number): boolean =>
    types === undefined ? id === bosToken || eos.includes(id) : types[id] === type.control || types[id] === type.unknown
  const added = tokens.flatMap((text, id): AddedToken[] => {
    const special = isControl(id)
    if (text === undefined || !(special || types?.[id] === type.userDefined)) return []
    if (text.length > maxAddedToken) throw malformed(`token ${id} is a control token of ${text.length} characters`)
    return [{ id, text, special, stripLeft: false, stripRight: false, singleWord: false, normalized: false }]
  })
  const controlToken = (text: string): number | undefined => {
    const id = ids.get(text)
    return id !== undefined && isControl(id) ? id : undefined
  }
  const kind = model === "gpt2" ? byteLevel(metadata) : sentencePiece(metadata, tokens.length, idOf("unknown"))
  const addsBos = readFlag(metadata, "tokenizer.ggml.add_bos_token") ?? kind.addsBos
  return {
    ...kind,
    tokens,
    added,
    ...(bosToken === undefined ? {} : { bosToken }),
    addsBos: addsBos && bosToken !== undefined,
    eosTokens: endTokens(eos, controlToken),
  }
}

type Kind = Pick<TokenizerDefinition, "model" | "normalizer" | "preTokenizer" | "spelling" | "addsBos">

function byteLevel(metadata: Metadata): Kind {
  // Files older than tokenizer.ggml.pre mean "default", as llama.cpp reads them.
  const name = metadata.get("tokenizer.ggml.pre") ?? "default"
  const family = typeof name === "string" ? patternFamily(name) : undefined
  if (family === undefined) {
    throw malformed(`tokenizer.ggml.pre ${quoted(name)} is unknown; known are ${patternNames.join(", ")}`)
  }
  const merges = metadata.get("tokenizer.ggml.merges")
  if (!Array.isArray(merges)) throw malformed(`tokenizer.ggml.merges must be a list of texts, found ${quoted(merges)}`)
  const splits = family.patterns.map((Regex) => ({
    type: "Split",
    pattern: { Regex },
    behavior: "Isolated",
    invert: false,
  }))
  const bytes = { type: "ByteLevel", add_prefix_space: false, use_regex: false }
  return {
    model: {
      type: "byte-pair",
      merges: { ranked: merges },
      wholeWords: family.wholeWords ?? false,
      byteFallback: false,
      fuseUnknown: false,
    },
    preTokenizer: { type: "Sequence", pretokenizers: [...splits, bytes] },
    spelling: { byteLevel: true, byteTokens: false, replacements: [], dropsFirstSpace: false },
    addsBos: family.addsBos ?? false,
  }
}

function sentencePiece(metadata: Metadata, size: number, unknown: number | undefined): Kind {
  const scores = readNumbers(metadata, "tokenizer.ggml.scores", size)
  if (scores === undefined) throw malformed("a tokenizer of model llama needs tokenizer.ggml.scores, which is missing")
  const addsSpace = readFlag(metadata, "tokenizer.ggml.add_space_prefix") ?? true
  const spaces = { type: "Replace", pattern: { String: " " }, content: "▁" }
  return {
    model: {
      type: "byte-pair",
      merges: { scores },
      wholeWords: false,
      byteFallback: true,
      fuseUnknown: true,
      ...(unknown === undefined ? {} : { unknown }),
    },
    normalizer: { type: "Sequence", normalizers: [...(addsSpace ? [{ type: "Prepend", prepend: "▁" }] : []), spaces] },
    spelling: { byteLevel: false, byteTokens: true, replacements: [["▁", " "]], dropsFirstSpace: addsSpace },
    addsBos: true,
  }
}

function readTokens(metadata: Metadata): { tokens: (string | undefined)[]; ids: Map<string, number> } {
  const list = metadata.get("tokenizer.ggml.tokens")
  if (!Array.isArray(list) || list.length === 0 || list.length > maxVocabulary) {
    throw malformed(
      `tokenizer.ggml.tokens must be a list of 1 to ${maxVocabulary} texts, found ${quoted(Array.isArray(list) ? list.length : list)}`,
    )
  }
  const ids = new Map<string, number>()
  const tokens = Array.from(list as unknown[], (text, id) => {
    if (typeof text !== "string") throw malformed(`tokenizer.ggml.tokens[${id}] must be a text, found ${quoted(text)}`)
    if (text === "") return undefined // padding
    const before = ids.get(text)
    if (before !== undefined) throw malformed(`tokens ${before} and ${id} are both spelt ${quoted(text)}`)
    ids.set(text, id)
    return text
  })
  return { tokens, ids }
}

function readNumbers(metadata: Metadata, key: string, size: number): ArrayLike<number> | undefined {
  const list = metadata.get(key)
  if (list === undefined) return undefined
  const isList = Array.isArray(list) || (ArrayBuffer.isView(list) && !(list instanceof DataView))
  const values = isList ? (list as ArrayLike<unknown>) : undefined
  if (values?.length !== size) {
    throw malformed(
      `${key} must hold ${size} numbers, one for each token, found ${quoted(values === undefined ? list : values.length)}`,
    )
  }
  return Array.from(values, (value, i) => {
    const number = typeof value === "bigint" ? Number(value) : value
    if (typeof number === "number" && Number.isFinite(number)) return number
    throw malformed(`${key}[${i}] must be a finite number, found ${quoted(value)}`)
  })
}

function readId(metadata: Metadata, key: string, tokens: readonly (string | undefined)[]): number | undefined {
  const value = metadata.get(key)
  if (value === undefined) return undefined
  const id = typeof value === "bigint" ? Number(value) : value
  if (typeof id === "number" && Number.isInteger(id) && id >= 0 && id < tokens.length) return id
  // Writers put -1 (or 2^32 - 1) for "none".
  if (id === -1 || id === 0xffffffff) return undefined
  throw malformed(`${key} must be an id below ${tokens.length}, found ${quoted(value)}`)
}

function readFlag(metadata: Metadata, key: string): boolean | undefined {
  const value = metadata.get(key)
  if (value === undefined || typeof value === "boolean") return value
  throw malformed(`${key} must be true or false, found ${quoted(value)}`)
}
