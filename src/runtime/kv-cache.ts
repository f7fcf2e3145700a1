/** Keys and values of past positions, owned by the host: pages of an arena, and a tail (layout in models/attention.ts). */
import { ForerunError } from "../base/errors.ts"
import { blockSize } from "../models/builder.ts"
import { type Arena, type CacheShape, type Page, type Tail, tailRow } from "./arena.ts"

export interface KvCache {
  /** Positions held by every layer. */
  readonly length: number
  /** A cache with the same past; memory is shared until one of the two writes. */
  fork(): KvCache
  /** Keeps the first `length` positions, in every layer that has more. */
  rewind(length: number): void
  dispose(): void
}

/** Rows of a pass: [layers that ran · stride, kvHeads, headSize]. */
export interface NewRows {
  readonly keys: Float32Array
  readonly values: Float32Array
  /** Rows per layer in the arrays. */
  readonly stride: number
  readonly positions: Int32Array
  readonly layers: readonly [from: number, to: number]
}

/** One layer of one cache, by itself. */
export interface LayerViews {
  /** [blocks, kvHeads, headSize, 128] and [blocks, kvHeads, 128, headSize] */
  readonly blockKeys: Float32Array
  readonly blockValues: Float32Array
  /** [tail, kvHeads, headSize] */
  readonly tailKeys: Float32Array
  readonly tailValues: Float32Array
}

/** What a cache holds of the arena; outlives the cache by a moment where nobody disposed it. */
interface Holding {
  readonly arena: Arena
  pages: Page[]
  tail: Tail | undefined
}

function release(holding: Holding): void {
  const { arena, pages, tail } = holding
  holding.pages = []
  holding.tail = undefined
  for (const page of pages.toReversed()) arena.releasePage(page)
  if (tail) arena.releaseTail(tail)
}

const forgotten = new FinalizationRegistry<Holding>(release)

export class HostCache implements KvCache {
  /** Position of every cached row, as the passes gave them. */
  positions: Int32Array
  /** Layers may differ in length while a pass has run through some of them only. */
  readonly lengths: Int32Array
  readonly #holding: Holding
  #disposed = false

  constructor(arena: Arena, from?: HostCache) {
    this.lengths = from?.lengths.slice() ?? new Int32Array(arena.shape.layers)
    this.positions = from?.positions.slice() ?? new Int32Array(blockSize)
    const { pages, tail } = from ? from.#holding : { pages: [], tail: undefined }
    for (const page of pages) page.owners++
    if (tail) tail.owners++
    this.#holding = { arena, pages: [...pages], tail }
    forgotten.register(this, this.#holding, this)
  }

  get arena(): Arena {
    return this.#holding.arena
  }
  get shape(): CacheShape {
    return this.arena.shape
  }
  get length(): number {
    return this.lengths.reduce((least, length) => Math.min(least, length), this.lengths[0]!)
  }
  get disposed(): boolean {
    return this.#disposed
  }
  /** Bytes of memory held; what forks share is counted for each. */
  get bytes(): number {
    const { pages, tail } = this.#holding
    return (pages.length + (tail ? 1 : 0)) * 8 * this.arena.pageSize * this.shape.layers
  }
  /** The pages of a layer's full blocks, in order. */
  pages(layer: number): readonly Page[] {
    return this.#holding.pages.slice(0, Math.floor(this.lengths[layer]! / blockSize))
  }
  /** The row of tail memory that holds the first position behind the full blocks; 0, a row of zeros, where none does. */
  get firstTailRow(): number {
    return this.#holding.tail ? tailRow(this.#holding.tail, 0) : 0
  }

  /** Views of exactly the rows in use. */
  layer(index: number): LayerViews {
    const { arena } = this
    const pages = this.pages(index)
    arena.arrange(pages)
    const { pageKeys, pageValues, tailKeys, tailValues } = arena.layers[index]!
    const first = (pages[0]?.index ?? 0) * arena.pageSize
    const end = first + pages.length * arena.pageSize
    const tail = this.firstTailRow * arena.rowSize
    const tailEnd = tail + (this.lengths[index]! % blockSize) * arena.rowSize
    return {
      blockKeys: pageKeys.subarray(first, end),
      blockValues: pageValues.subarray(first, end),
      tailKeys: tailKeys.subarray(tail, tailEnd),
      tailValues: tailValues.subarray(tail, tailEnd),
    }
  }

  fork(): HostCache {
    this.#check()
    return new HostCache(this.arena, this)
  }

  rewind(length: number): void {
    this.#check()
    if (!Number.isInteger(length) || length < 0 || length > this.length)
      throw new ForerunError("E_INPUT", `cannot rewind a cache of ${this.length} positions to ${length}`)
    const block = Math.floor(length / blockSize)
    const { arena, pages } = this.#holding
    for (let layer = 0; layer < this.shape.layers; layer++) {
      if (block < Math.floor(this.lengths[layer]! / blockSize) && length % blockSize > 0)
        this.#reopen(layer, pages[block]!, length % blockSize)
      this.lengths[layer] = length
    }
    while (pages.length > block) arena.releasePage(pages.pop()!)
  }

  /** Appends the chosen rows of a pass to the layers it ran through. */
  append(rows: readonly number[], added: NewRows): void {
    this.#check()
    const [from, to] = added.layers
    if (rows.length === 0 || from === to) return // the head alone leaves nothing behind
    const { arena } = this
    const size = arena.rowSize
    const start = this.lengths[from]!
    this.#growPositions(start + rows.length)
    rows.forEach((row, i) => {
      this.positions[start + i] = added.positions[row]!
    })
    const tail = this.#ownTail()
    for (let index = from; index < to; index++) {
      const layer = arena.layers[index]!
      for (const row of rows) {
        const at = tailRow(tail, this.lengths[index]!) * size
        const source = ((index - from) * added.stride + row) * size
        layer.tailKeys.set(added.keys.subarray(source, source + size), at)
        layer.tailValues.set(added.values.subarray(source, source + size), at)
        if (++this.lengths[index]! % blockSize === 0) this.#closeBlock(index, tail)
      }
    }
  }

  dispose(): void {
    if (this.#disposed) return
    this.#disposed = true
    forgotten.unregister(this)
    release(this.#holding)
    this.lengths.fill(0)
  }

  /** The tail of a layer is full: it becomes a page, its keys transposed. */
  #closeBlock(index: number, tail: Tail): void {
    const { arena, pages } = this.#holding
    const { kvHeads, headSize } = this.shape
    const block = this.lengths[index]! / blockSize - 1
    const page = pages[block] === undefined ? arena.openPage() : arena.ownPage(pages[block])
    pages[block] = page
    const layer = arena.layers[index]!
    const [first, target] = [tailRow(tail, 0), page.index * arena.pageSize]
    for (let head = 0; head < kvHeads; head++)
      for (let position = 0; position < blockSize; position++) {
        const from = ((first + position) * kvHeads + head) * headSize
        const base = target + head * blockSize * headSize
        layer.pageValues.set(layer.tailValues.subarray(from, from + headSize), base + position * headSize)
        for (let i = 0; i < headSize; i++) layer.pageKeys[base + i * blockSize + position] = layer.tailKeys[from + i]!
      }
  }

  /** Rewinding into a page: its first positions become the tail again. */
  #reopen(index: number, page: Page, count: number): void {
    const first = tailRow(this.#ownTail(), 0)
    const layer = this.arena.layers[index]!
    const { kvHeads, headSize } = this.shape
    for (let head = 0; head < kvHeads; head++)
      for (let position = 0; position < count; position++) {
        const to = ((first + position) * kvHeads + head) * headSize
        const base = page.index * this.arena.pageSize + head * blockSize * headSize
        const from = base + position * headSize
        layer.tailValues.set(layer.pageValues.subarray(from, from + headSize), to)
        for (let i = 0; i < headSize; i++) layer.tailKeys[to + i] = layer.pageKeys[base + i * blockSize + position]!
      }
  }

  /** Positions of the tail that any layer uses. */
  get #tailLength(): number {
    return this.lengths.reduce((most, length) => Math.max(most, length % blockSize), 0)
  }

  /** Copies a shared tail before the first write to it. */
  #ownTail(): Tail {
    const { arena, tail } = this.#holding
    const own = tail === undefined ? arena.openTail() : tail.owners > 1 ? arena.copyTail(tail, this.#tailLength) : tail
    this.#holding.tail = own
    return own
  }

  #growPositions(needed: number): void {
    if (needed <= this.positions.length) return
    const positions = new Int32Array(Math.max(needed, this.positions.length * 2))
    positions.set(this.positions)
    this.positions = positions
  }

  #check(): void {
    if (this.#disposed) throw new ForerunError("E_DISPOSED", "the cache was disposed")
  }
}
