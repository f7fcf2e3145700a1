/** Training samples: several answers end to end, and pseudo rows of some of their rows. Pure. */
import type { Random } from "../../tensor/random.ts"

/** A prompt and its answer. */
export interface Sequence {
  readonly tokens: readonly number[]
  /** Where the answer begins. */
  readonly answerFrom: number
}

/** Sequences that share a sample of a fixed length, one after the other; none sees another. */
export type Pack = readonly Sequence[]

/** Fewer rows of an answer are not worth their prompt. */
const fewest = 16

/** In the given order; what does not fit any more is cut, or left out where too little of its answer would be left. */
export function packSequences(sequences: Iterable<Sequence>, length: number): Pack[] {
  const packs: Pack[] = []
  let pack: Sequence[] = []
  let used = 0
  for (const { tokens, answerFrom } of sequences) {
    if (answerFrom + fewest > Math.min(tokens.length, length)) continue
    if (used + answerFrom + fewest > length) {
      packs.push(pack)
      pack = []
      used = 0
    }
    const kept = tokens.slice(0, length - used)
    pack.push({ tokens: kept, answerFrom })
    used += kept.length
  }
  if (used > length / 2) packs.push(pack)
  return packs
}

/** The rows of one sample. */
export interface PackRows {
  /** [length], zeros at the end */
  readonly tokens: Int32Array
  /** Counted in each sequence. [length] */
  readonly positions: Int32Array
  /** First row of each row's sequence; its own for what is not used. [length] */
  readonly starts: Int32Array
  /** One past its last row. [length] */
  readonly ends: Int32Array
  /** Rows whose first draft belongs to an answer. */
  readonly anchors: readonly number[]
}

export function rowsOfPack(pack: Pack, length: number): PackRows {
  const tokens = new Int32Array(length)
  const positions = new Int32Array(length)
  const starts = Int32Array.from({ length }, (_, row) => row)
  const ends = Int32Array.from({ length }, (_, row) => row + 1)
  const anchors: number[] = []
  let start = 0
  for (const { tokens: own, answerFrom } of pack) {
    tokens.set(own, start)
    for (let i = 0; i < own.length; i++) positions[start + i] = i
    starts.fill(start, start, start + own.length)
    ends.fill(start + own.length, start, start + own.length)
    // Row i knows token i + 1 as its own; the first draft is token i + 2.
    for (let i = Math.max(0, answerFrom - 2); i + 2 < own.length; i++) anchors.push(start + i)
    start += own.length
  }
  return { tokens, positions, starts, ends, anchors }
}

/** 0 where a row may see a column, else −∞: each sees its own sequence, up to itself. [length, length] */
export function maskOfPack({ starts }: PackRows): Float32Array {
  const length = starts.length
  const mask = new Float32Array(length * length).fill(Number.NEGATIVE_INFINITY)
  for (let row = 0; row < length; row++) mask.fill(0, row * length + starts[row]!, row * length + row + 1)
  return mask
}

/** Pseudo rows of `count` anchors: step 1 of each, then step 2, … [steps · count] */
export interface PseudoRows {
  readonly anchors: Int32Array
  readonly positions: Int32Array
  /** Columns: the pack's rows, then the pseudo rows. [steps · count, length + steps · count] */
  readonly mask: Float32Array
  /** The real row that knows the answer: its law is what a pseudo row should say. */
  readonly teachers: Int32Array
  /** The token after that row. */
  readonly labels: Int32Array
  /** 0 where the sequence ends before, or where the anchor stands in only because there are too few. */
  readonly weights: Float32Array
}

export function samplePseudoRows(
  rows: PackRows,
  { count, steps }: { readonly count: number; readonly steps: number },
  random: Random,
): PseudoRows {
  const length = rows.tokens.length
  const chosen = chooseAnchors(rows.anchors, count, random)
  const height = steps * count
  const columns = length + height
  const mask = new Float32Array(height * columns).fill(Number.NEGATIVE_INFINITY)
  const [positions, teachers, labels] = [new Int32Array(height), new Int32Array(height), new Int32Array(height)]
  const weights = new Float32Array(height)
  for (let row = 0; row < height; row++) {
    const [step, at] = [Math.floor(row / count) + 1, row % count]
    const anchor = chosen[at]!
    mask.fill(0, row * columns + rows.starts[anchor]!, row * columns + anchor + 1)
    for (let i = 0; i < step; i++) mask[row * columns + length + i * count + at] = 0
    positions[row] = rows.positions[anchor]! + step
    const isKnown = anchor + step + 1 < rows.ends[anchor]!
    teachers[row] = isKnown ? anchor + step : anchor
    labels[row] = isKnown ? rows.tokens[anchor + step + 1]! : 0
    weights[row] = isKnown && at < rows.anchors.length ? 1 : 0
  }
  return { anchors: chosen, positions, mask, teachers, labels, weights }
}

/** Different ones, as far as there are any; then the first of them again. */
function chooseAnchors(anchors: readonly number[], count: number, random: Random): Int32Array {
  const left = [...anchors]
  const most = Math.min(count, left.length)
  for (let i = 0; i < most; i++) {
    const other = i + Math.floor(random.next() * (left.length - i))
    const held = left[i]!
    left[i] = left[other]!
    left[other] = held
  }
  return Int32Array.from({ length: count }, (_, i) => (i < most ? left[i]! : (left[0] ?? 0)))
}
