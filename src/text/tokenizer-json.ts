/** Reads tokenizer.json and tokenizer_config.json into a definition; everything in them is checked, nothing is trusted. */
import type { AddedToken } from "./added-tokens.ts"
import type { Merge } from "./merge-tables.ts"
import type { Spelling, TokenizerDefinition, WordModel } from "./tokenizer-definition.ts"
import { endTokens, malformed, maxAddedToken, maxVocabulary, quoted } from "./tokenizer-definition.ts"

type Fields = Readonly<Record<string, unknown>>

/** Throws E_TOKENIZER for a file that is malformed or of a kind this version does not run. */
export function readTokenizerJson(json: unknown, config: unknown): TokenizerDefinition {
  const file = fields(json, "tokenizer.json")
  const settings = config === undefined || config === null ? {} : fields(config, "tokenizer_config.json")
  const model = fields(file.model, "model")
  const { tokens, ids, scores } = readVocabulary(model)
  const added = readAdded(file.added_tokens)
  for (const token of added) {
    const before = tokens[token.id]
    if (before !== undefined && before !== token.text) ids.delete(before)
    tokens[token.id] = token.text
    ids.set(token.text, token.id)
  }
  checkSize(tokens.length, ids.size)
  const named = (name: string): number | undefined => namedToken(settings[name], ids, name)
  const first = templateStart(file.post_processor, ids)
  const bosToken = named("bos_token") ?? first
  const addsBos = typeof settings.add_bos_token === "boolean" ? settings.add_bos_token : first !== undefined
  const controls = new Map(added.filter((token) => token.special).map((token) => [token.text, token.id]))
  return {
    tokens,
    added,
    model: readModel(model, ids, scores),
    normalizer: file.normalizer,
    preTokenizer: file.pre_tokenizer,
    spelling: readDecoder(file.decoder),
    ...(bosToken === undefined ? {} : { bosToken }),
    addsBos: addsBos && bosToken !== undefined,
    eosTokens: endTokens([named("eos_token")], (text) => controls.get(text)),
  }
}

function readVocabulary(model: Fields): {
  tokens: (string | undefined)[]
  ids: Map<string, number>
  scores?: number[]
} {
  const { vocab } = model
  const tokens: (string | undefined)[] = []
  const ids = new Map<string, number>()
  const put = (text: unknown, id: unknown): void => {
    if (typeof text !== "string") throw malformed(`token ${String(id)} must be a text, found ${quoted(text)}`)
    if (typeof id !== "number" || !Number.isInteger(id) || id < 0 || id >= maxVocabulary) {
      throw malformed(`token ${quoted(text)} needs an id from 0 to ${maxVocabulary - 1}, found ${quoted(id)}`)
    }
    if (tokens[id] !== undefined)
      throw malformed(`tokens ${quoted(tokens[id])} and ${quoted(text)} have the same id ${id}`)
    tokens[id] = text
    if (!ids.has(text)) ids.set(text, id)
  }
  if (Array.isArray(vocab)) {
    const scores: number[] = []
    vocab.forEach((entry: unknown, id) => {
      const [text, score] = Array.isArray(entry) ? (entry as unknown[]) : []
      if (typeof score !== "number" || !Number.isFinite(score))
        throw malformed(`vocab[${id}] must be [text, score], found ${quoted(entry)}`)
      put(text, id)
      scores.push(score)
    })
    if (scores.length === 0) throw malformed("model.vocab is empty")
    return { tokens, ids, scores }
  }
  const object = fields(vocab, "model.vocab")
  for (const text of Object.keys(object)) put(text, object[text])
  if (ids.size === 0) throw malformed("model.vocab is empty")
  return { tokens, ids }
}

function checkSize(size: number, count: number): void {
  if (size > 4 * count + 65_536) throw malformed(`the largest id is ${size - 1}, but there are only ${count} tokens`)
}

function readAdded(list: unknown): AddedToken[] {
  if (list === undefined || list === null) return []
  if (!Array.isArray(list)) throw malformed(`added_tokens must be a list, found ${quoted(list)}`)
  const seen = new Set<number>()
  return list.map((entry: unknown, i) => {
    const token = fields(entry, `added_tokens[${i}]`)
    const { id, content } = token
    if (typeof content !== "string" || content === "" || content.length > maxAddedToken) {
      throw malformed(`added_tokens[${i}].content must have 1 to ${maxAddedToken} characters, found ${quoted(content)}`)
    }
    if (typeof id !== "number" || !Number.isInteger(id) || id < 0 || id >= maxVocabulary) {
      throw malformed(`added_tokens[${i}].id must be from 0 to ${maxVocabulary - 1}, found ${quoted(id)}`)
    }
    if (seen.has(id)) throw malformed(`added_tokens[${i}]: id ${id} is taken by another added token`)
    seen.add(id)
    const special = token.special === true
    return {
      id,
      text: content,
      special,
      stripLeft: token.lstrip === true,
      stripRight: token.rstrip === true,
      singleWord: token.single_word === true,
      normalized: typeof token.normalized === "boolean" ? token.normalized : !special,
    }
  })
}

function readModel(model: Fields, ids: ReadonlyMap<string, number>, scores: number[] | undefined): WordModel {
  const type = model.type ?? (scores !== undefined ? "Unigram" : model.merges !== undefined ? "BPE" : "WordPiece")
  const unknown = typeof model.unk_token === "string" ? ids.get(model.unk_token) : undefined
  const unknownId = unknown === undefined ? {} : { unknown }
  if (type === "BPE" && scores === undefined) {
    for (const name of ["continuing_subword_prefix", "end_of_word_suffix"]) {
      if (model[name]) throw malformed(`model.${name} ${quoted(model[name])} is not supported`)
    }
    const merges = model.merges ?? []
    if (!Array.isArray(merges)) throw malformed(`model.merges must be a list, found ${quoted(merges)}`)
    return {
      type: "byte-pair",
      merges: { ranked: merges as Merge[] },
      wholeWords: model.ignore_merges === true,
      byteFallback: model.byte_fallback === true,
      fuseUnknown: model.fuse_unk === true,
      ...unknownId,
    }
  }
  if (type === "Unigram" && scores !== undefined) {
    const id = model.unk_id
    const isId = typeof id === "number" && Number.isInteger(id) && id >= 0 && id < scores.length
    if (id !== undefined && id !== null && !isId)
      throw malformed(`model.unk_id must be an id below ${scores.length}, found ${quoted(id)}`)
    return { type: "unigram", scores, byteFallback: model.byte_fallback === true, ...(isId ? { unknown: id } : {}) }
  }
  if (type === "WordPiece" && scores === undefined) {
    const prefix = model.continuing_subword_prefix ?? "##"
    const longest = model.max_input_chars_per_word ?? 100
    if (typeof prefix !== "string")
      throw malformed(`model.continuing_subword_prefix must be a text, found ${quoted(prefix)}`)
    if (typeof longest !== "number" || !(longest >= 1 && longest <= 1000)) {
      throw malformed(`model.max_input_chars_per_word must be from 1 to 1000, found ${quoted(longest)}`)
    }
    return { type: "word-piece", prefix, longestWord: longest, ...unknownId }
  }
  throw malformed(`model.type must be BPE, Unigram or WordPiece with a vocabulary of its kind, found ${quoted(type)}`)
}

/** The id a special token of the config names, written as a text or as {content}. */
function namedToken(value: unknown, ids: ReadonlyMap<string, number>, name: string): number | undefined {
  if (value === undefined || value === null) return undefined
  const text = typeof value === "string" ? value : fields(value, name).content
  if (typeof text !== "string") throw malformed(`${name} must be a text, found ${quoted(value)}`)
  return ids.get(text)
}

/** The control token that a TemplateProcessing puts before a single text. */
function templateStart(processor: unknown, ids: ReadonlyMap<string, number>, depth = 0): number | undefined {
  if (typeof processor !== "object" || processor === null || depth > 4) return undefined
  const { type, single, processors } = processor as Fields
  if (type === "Sequence" && Array.isArray(processors)) {
    return processors.map((part) => templateStart(part, ids, depth + 1)).find((id) => id !== undefined)
  }
  if (type !== "TemplateProcessing" || !Array.isArray(single)) return undefined
  const name = (single[0] as { SpecialToken?: { id?: unknown } } | null | undefined)?.SpecialToken?.id
  return typeof name === "string" ? ids.get(name) : undefined
}

function readDecoder(decoder: unknown): Spelling {
  const parts = decoderParts(decoder, 0)
  const replacements: [string, string][] = []
  let byteLevel = false
  let byteTokens = false
  let dropsFirstSpace = false
  let continuation: string | undefined
  for (const part of parts) {
    const pattern = (part.pattern as { String?: unknown } | undefined)?.String
    const { content } = part
    if (part.type === "ByteLevel") byteLevel = true
    else if (part.type === "ByteFallback") byteTokens = true
    else if (part.type === "Fuse") continue
    else if (part.type === "Strip" && content === " ") dropsFirstSpace = Number(part.start) > 0
    else if (part.type === "Replace" && isShort(pattern) && pattern !== "" && isShort(content))
      replacements.push([pattern, content])
    else if (part.type === "Metaspace") {
      const mark = part.replacement ?? "▁"
      if (!isShort(mark) || mark === "")
        throw malformed(`decoder.replacement must be a short text, found ${quoted(mark)}`)
      replacements.push([mark, " "])
      dropsFirstSpace = part.add_prefix_space !== false && part.prepend_scheme !== "never"
    } else if (part.type === "WordPiece") {
      const prefix = part.prefix ?? "##"
      if (!isShort(prefix)) throw malformed(`decoder.prefix must be a short text, found ${quoted(prefix)}`)
      continuation = prefix
      dropsFirstSpace = true
    } else throw malformed(`decoder ${quoted(part)} is not supported`)
  }
  const spelling = { byteLevel, byteTokens, replacements, dropsFirstSpace }
  return continuation === undefined ? spelling : { ...spelling, continuation }
}

const isShort = (value: unknown): value is string => typeof value === "string" && value.length <= 16

function decoderParts(decoder: unknown, depth: number): Fields[] {
  if (decoder === undefined || decoder === null) return []
  const part = fields(decoder, "decoder")
  if (part.type !== "Sequence") return [part]
  const { decoders } = part
  if (!Array.isArray(decoders) || decoders.length > 32 || depth > 4)
    throw malformed("decoder.decoders must list at most 32 components")
  return decoders.flatMap((inner) => decoderParts(inner, depth + 1))
}

function fields(value: unknown, where: string): Fields {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Fields
  throw malformed(`${where} must be an object, found ${quoted(value)}`)
}
