/** Fills the graph's inputs for a pass over rows of several sequences (models/merged-attention.ts). */
import { blockSize } from "../models/builder.ts"
import type { Arena } from "./arena.ts"
import { type CommonRequest, createCommonFeeder, type FeedFacts, type Feeds } from "./common-feeds.ts"
import type { HostCache } from "./kv-cache.ts"
import { type Mask, type Sight, sightOf } from "./mask.ts"
import { cutPieces, type Member, type Piece, pieceLength } from "./merged-plan.ts"
import { orderPages, type PageRange } from "./page-order.ts"
import type { Session } from "./session.ts"

export interface MergedMember {
  readonly positions: Int32Array
  readonly mask: Mask
  readonly cache: HostCache
}

export interface MergedRequest extends CommonRequest {
  readonly members: readonly MergedMember[]
  readonly arena: Arena
}

export type MergedFeeder = (request: MergedRequest) => Feeds

/** Everything that indices and biases are made from. */
interface Layout {
  readonly given: readonly MergedMember[]
  readonly members: readonly Member[]
  readonly pieces: readonly Piece[]
  readonly rows: number
  /** Rows of a piece, and query heads of a key head. */
  readonly length: number
  readonly groups: number
  readonly kvHeads: number
  /** Positions of a piece's window. */
  readonly window: number
  /** Pages that few rows see, and that many see. */
  readonly ranges: readonly PageRange[]
  readonly firstVisitor: readonly (readonly number[])[]
}

interface Tensors {
  readonly int32: (data: Int32Array, ...dims: number[]) => Feeds[string]
  readonly float: (data: Float32Array, ...dims: number[]) => Feeds[string]
}

const hidden = Number.NEGATIVE_INFINITY

export function createMergedFeeder(facts: FeedFacts, session: Session): MergedFeeder {
  const { config, windows } = facts
  const { kvHeads, headSize } = config
  const common = createCommonFeeder(facts, session)
  const tensors: Tensors = {
    int32: (data, ...dims) => session.tensor("int32", data, dims),
    float: (data, ...dims) => session.tensor("float32", data, dims),
  }
  const { float } = tensors
  const onePage = new Float32Array(blockSize * kvHeads * headSize)
  const absent = {
    keys: float(onePage, 1, kvHeads, headSize, blockSize),
    values: float(onePage, 1, kvHeads, blockSize, headSize),
  }
  const pageOnes = float(new Float32Array(blockSize).fill(1), blockSize, 1)
  let pass = 0

  return (request) => {
    const { arena, layers, members } = request
    const layout = layoutOf(request, { groups: config.heads / kvHeads, kvHeads, pass: ++pass })
    const feeds: Feeds = { ...common(request), pageOnes }
    Object.assign(feeds, windowFeeds(layout, session, tensors), pageFeeds(layout, tensors))
    windows.forEach((window, index) => {
      const sights = members.map(({ positions, mask, cache }) => {
        const past = cache.lengths[layers[0]] ?? 0
        return sightOf(mask, window, { rows: positions.length, past, positions, pastPositions: cache.positions })
      })
      feeds[`bias${index}`] = windowBias(layout, sights, tensors)
      for (const set of [0, 1]) feeds[`pageBias${set}_${index}`] = pageBias(layout, set, sights, tensors)
    })
    for (const [index, layer] of arena.layers.entries()) {
      const slots = 1 + arena.tails * blockSize
      const tail = (array: Float32Array) => float(array.subarray(0, slots * arena.rowSize), slots, kvHeads, headSize)
      feeds[`tailKeys${index}`] = tail(layer.tailKeys)
      feeds[`tailValues${index}`] = tail(layer.tailValues)
      for (const [set, { first, count }] of layout.ranges.entries()) {
        const part = (array: Float32Array) => array.subarray(first * arena.pageSize, (first + count) * arena.pageSize)
        feeds[`pageKeys${set}_${index}`] =
          count === 0 ? absent.keys : float(part(layer.pageKeys), count, kvHeads, headSize, blockSize)
        feeds[`pageValues${set}_${index}`] =
          count === 0 ? absent.values : float(part(layer.pageValues), count, kvHeads, blockSize, headSize)
      }
    }
    return feeds
  }
}

function layoutOf(
  { members: given, arena, layers }: MergedRequest,
  { groups, kvHeads, pass }: { readonly groups: number; readonly kvHeads: number; readonly pass: number },
): Layout {
  let rows = 0
  const members = given.map(({ positions, mask, cache }): Member => {
    const first = rows
    rows += positions.length
    return {
      first,
      rows: positions.length,
      tail: (cache.lengths[layers[0]] ?? 0) % blockSize,
      pages: cache.pages(layers[0]),
      seesAhead: mask === "bidirectional" || (typeof mask === "object" && "data" in mask),
    }
  })
  const length = pieceLength(members.map((member) => member.rows))
  const pieces = cutPieces(members, length)
  const window = Math.max(...pieces.map(({ member, news }) => members[member]!.tail + news))
  return { given, members, pieces, rows, length, groups, kvHeads, window, ...orderPages(arena, members, pass) }
}

/** Where the result of a head's row in a piece lies among all of them. */
const spotOf = ({ kvHeads, groups, length }: Layout, piece: number, head: number, row: number): number =>
  ((piece * kvHeads + Math.floor(head / groups)) * groups + (head % groups)) * length + row

/** Which queries a piece has, what its window holds, and where results go. */
function windowFeeds(layout: Layout, session: Session, { int32, float }: Tensors): Feeds {
  const { given, members, pieces, rows, length, groups, kvHeads, window } = layout
  const heads = kvHeads * groups
  const queryRows = new Int32Array(pieces.length * heads * length)
  const rowSpots = new Int32Array(rows * heads)
  const windowRows = new Int32Array(window * pieces.length)
  const updates = pieces.reduce((sum, { news }) => sum + news, 0)
  const newRows = new Int32Array(updates)
  const windowSpots = new BigInt64Array(2 * updates)
  let update = 0
  for (const [p, { member, from, to, news }] of pieces.entries()) {
    const { first, tail } = members[member]!
    for (let head = 0; head < heads; head++)
      for (let row = from; row < to; row++) {
        const spot = spotOf(layout, p, head, row - from)
        queryRows[spot] = (first + row) * heads + head
        rowSpots[(first + row) * heads + head] = spot
      }
    const slot = given[member]!.cache.firstTailRow
    for (let position = 0; position < tail; position++) windowRows[position * pieces.length + p] = slot + position
    for (let row = 0; row < news; row++, update++) {
      newRows[update] = first + row
      windowSpots[2 * update] = BigInt(tail + row)
      windowSpots[2 * update + 1] = BigInt(p)
    }
  }
  return {
    queryRows: int32(queryRows, pieces.length, kvHeads, groups * length),
    rowSpots: int32(rowSpots, rows, heads),
    windowRows: int32(windowRows, window, pieces.length),
    newRows: int32(newRows, updates),
    windowSpots: session.tensor("int64", windowSpots, [updates, 2]),
    windowOnes: float(new Float32Array(window).fill(1), window, 1),
  }
}

/** Which queries see a page, and in which order a piece adds its pages up. */
function pageFeeds(layout: Layout, { int32 }: Tensors): Feeds {
  const { members, pieces, length, groups, kvHeads, ranges, firstVisitor } = layout
  const feeds: Feeds = {}
  const pagesOf = ({ count }: PageRange) => Math.max(1, count)
  const queryRows = ranges.map((range) => new Int32Array(pagesOf(range) * kvHeads * groups * range.visitors))
  const querySpots = queryRows.map((rows) => new Int32Array(rows.length))
  const none = queryRows.reduce((sum, { length: size }) => sum + size, 0)
  const steps = Math.max(1, ...members.map(({ pages }) => pages.length))
  const pageSpots = new Int32Array(steps * pieces.length * kvHeads * groups * length).fill(none)
  const perStep = pageSpots.length / steps
  for (const [p, { member, from, to }] of pieces.entries()) {
    const { first, pages } = members[member]!
    for (const [step, page] of pages.entries()) {
      const set = page.index < ranges[1]!.count ? 1 : 0
      const range = ranges[set]!
      for (let head = 0; head < kvHeads * groups; head++) {
        const start = ((page.index - range.first) * kvHeads * groups + head) * range.visitors
        for (let row = from; row < to; row++) {
          const at = start + firstVisitor[member]![step]! + row
          const spot = spotOf(layout, p, head, row - from)
          queryRows[set]![at] = (first + row) * kvHeads * groups + head
          querySpots[set]![at] = spot
          pageSpots[step * perStep + spot] = at + (set === 0 ? 0 : queryRows[0]!.length)
        }
      }
    }
  }
  for (const [set, range] of ranges.entries()) {
    const dims = [pagesOf(range), kvHeads, groups * range.visitors]
    feeds[`pageQueryRows${set}`] = int32(queryRows[set]!, ...dims)
    feeds[`pageQuerySpots${set}`] = int32(querySpots[set]!, ...dims)
  }
  feeds.pageSpots = int32(pageSpots, steps, pieces.length, kvHeads, groups * length)
  return feeds
}

/** Zeros where a row sees a position of its piece's window. */
function windowBias({ members, pieces, length, groups, window }: Layout, sights: Sight[], { float }: Tensors) {
  const bias = new Float32Array(pieces.length * groups * length * window).fill(hidden)
  for (const [p, { member, from, to, news }] of pieces.entries()) {
    const { tail, pages } = members[member]!
    const { sees } = sights[member]!
    const full = pages.length * blockSize
    const start = p * groups * length * window
    for (let row = from; row < to; row++)
      for (let position = 0; position < tail + news; position++)
        if (sees(row, full + position))
          for (let group = 0; group < groups; group++)
            bias[start + (group * length + row - from) * window + position] = 0
  }
  return float(bias, pieces.length, 1, groups * length, window)
}

/** Zeros where a row sees a position of a page; nearly always everywhere. */
function pageBias(layout: Layout, set: number, sights: Sight[], { float }: Tensors) {
  const { members, groups, firstVisitor } = layout
  const { first, count, visitors } = layout.ranges[set]!
  if (count === 0 || sights.every(({ hidesBlocks }) => !hidesBlocks))
    return float(new Float32Array(blockSize), 1, 1, 1, blockSize)
  const bias = new Float32Array(count * groups * visitors * blockSize)
  for (const [m, { pages, rows }] of members.entries())
    for (const [step, page] of pages.entries()) {
      if (page.index < first || page.index >= first + count) continue
      for (let row = 0; row < rows; row++)
        for (let position = 0; position < blockSize; position++) {
          if (sights[m]!.sees(row, step * blockSize + position)) continue
          for (let group = 0; group < groups; group++) {
            const query = group * visitors + firstVisitor[m]![step]! + row
            bias[((page.index - first) * groups * visitors + query) * blockSize + position] = hidden
          }
        }
    }
  return float(bias, count, 1, groups * visitors, blockSize)
}
