/** Turns words into token ids: byte-pair merging, unigram (the likeliest split) and WordPiece (longest piece first). */

import type { MergeTable } from "./byte-pair.ts"
import { mergeWord } from "./byte-pair.ts"
import { rankedMerges, scoredMerges } from "./merge-tables.ts"
import type { TokenizerDefinition, WordModel } from "./tokenizer-definition.ts"

/** Appends the ids of one word to `out`. */
export type WordEncoder = (word: string, out: number[]) => void

const maxCachedWord = 64 // characters
const maxCachedWords = 20_000

/** The encoder of a definition; control tokens never come out of it. */
export function createWordEncoder(definition: TokenizerDefinition): WordEncoder {
  const { tokens, model } = definition
  const controls = new Set(definition.added.filter((token) => token.special).map((token) => token.id))
  const ids = new Map<string, number>()
  const plain = new Map<string, number>()
  tokens.forEach((text, id) => {
    if (text === undefined || ids.has(text)) return
    ids.set(text, id)
    if (!controls.has(id) && !isByteToken(text)) plain.set(text, id)
  })
  const fallBack = createFallback(model, ids)
  switch (model.type) {
    case "byte-pair": {
      const { merges } = model
      const table =
        "ranked" in merges
          ? rankedMerges(ids, merges.ranked, (id) => controls.has(id))
          : scoredMerges(plain, merges.scores)
      return cached(bytePairEncoder(model, table, plain, fallBack))
    }
    case "unigram":
      return cached(unigramEncoder(model.scores, plain, fallBack))
    case "word-piece":
      return cached(wordPieceEncoder(model, plain))
  }
}

const isByteToken = (text: string): boolean => /^<0x[0-9A-F]{2}>$/.test(text)

type Fallback = (text: string, out: number[], followsUnknown: boolean) => boolean

/** For text without a token: its bytes as tokens, else the unknown token, else nothing. Says whether it wrote `unknown`. */
function createFallback(model: WordModel, ids: ReadonlyMap<string, number>): Fallback {
  const usesBytes = model.type !== "word-piece" && model.byteFallback
  const fuses = model.type === "unigram" || (model.type === "byte-pair" && model.fuseUnknown)
  const byteIds = Array.from({ length: 256 }, (_, byte) =>
    ids.get(`<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`),
  )
  const encoder = new TextEncoder()
  return (text, out, followsUnknown) => {
    if (usesBytes) {
      const found = Array.from(encoder.encode(text), (byte) => byteIds[byte])
      if (found.every((id) => id !== undefined)) {
        for (const id of found) out.push(id)
        return false
      }
    }
    if (model.unknown === undefined) return false
    if (!(fuses && followsUnknown)) out.push(model.unknown)
    return true
  }
}

function bytePairEncoder(
  model: WordModel & { type: "byte-pair" },
  table: MergeTable,
  plain: ReadonlyMap<string, number>,
  fallBack: Fallback,
): WordEncoder {
  return (word, out) => {
    const whole = model.wholeWords ? plain.get(word) : undefined
    if (whole !== undefined) return void out.push(whole)
    let wasUnknown = false
    mergeWord(word, table, (id, start, end) => {
      if (id >= 0) out.push(id)
      wasUnknown = id < 0 && fallBack(word.slice(start, end), out, wasUnknown)
    })
  }
}

/** Viterbi over the pieces that end at each position; linear, since pieces are bounded by the longest token. */
function unigramEncoder(
  scores: ArrayLike<number>,
  plain: ReadonlyMap<string, number>,
  fallBack: Fallback,
): WordEncoder {
  let longest = 1
  let lowest = 0
  for (const [text, id] of plain) {
    longest = Math.max(longest, text.length)
    lowest = Math.min(lowest, scores[id] ?? 0)
  }
  const unknownScore = lowest - 10
  return (word, out) => {
    const best = new Float64Array(word.length + 1).fill(-Infinity)
    const from = new Int32Array(word.length + 1)
    const ids = new Int32Array(word.length + 1)
    best[0] = 0
    for (let start = 0; start < word.length; start++) {
      if (best[start] === -Infinity) continue // inside a surrogate pair
      const step = word.codePointAt(start)! > 0xffff ? 2 : 1
      const limit = Math.min(word.length, start + longest)
      for (let end = start + step; end <= limit || end === start + step; end++) {
        const id = plain.get(word.slice(start, end)) ?? -1
        if (id < 0 && end > start + step) continue
        const score = best[start]! + (id < 0 ? unknownScore : (scores[id] ?? lowest))
        if (score <= best[end]!) continue
        best[end] = score
        from[end] = start
        ids[end] = id
      }
    }
    const ends: number[] = []
    for (let end = word.length; end > 0; end = from[end]!) ends.push(end)
    let wasUnknown = false
    for (const end of ends.reverse()) {
      const id = ids[end]!
      if (id >= 0) out.push(id)
      wasUnknown = id < 0 && fallBack(word.slice(from[end], end), out, wasUnknown)
    }
  }
}

function wordPieceEncoder(model: WordModel & { type: "word-piece" }, plain: ReadonlyMap<string, number>): WordEncoder {
  return (word, out) => {
    const characters = Array.from(word)
    const pieces: number[] = []
    for (let start = 0; start < characters.length; ) {
      let end = characters.length > model.longestWord ? start : characters.length
      let id: number | undefined
      for (; end > start && id === undefined; end--) {
        const text = characters.slice(start, end).join("")
        id = plain.get(start === 0 ? text : model.prefix + text)
      }
      if (id === undefined) {
        if (model.unknown !== undefined) out.push(model.unknown)
        return
      }
      pieces.push(id)
      start = end + 1
    }
    for (const id of pieces) out.push(id)
  }
}

/** Most words repeat; the store is emptied when full, which is simpler than ageing and as good for text. */
function cached(encode: WordEncoder): WordEncoder {
  const store = new Map<string, readonly number[]>()
  return (word, out) => {
    if (word.length > maxCachedWord) return encode(word, out)
    let ids = store.get(word)
    if (ids === undefined) {
      const fresh: number[] = []
      encode(word, fresh)
      ids = fresh
      if (store.size >= maxCachedWords) store.clear()
      store.set(word, ids)
    }
    for (const id of ids) out.push(id)
  }
}
