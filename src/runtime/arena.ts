/** Memory for the keys and values of all of a model's caches: pages of 128 positions, and tails that become pages. */
import { blockSize } from "../models/builder.ts"

export interface CacheShape {
  readonly layers: number
  readonly kvHeads: number
  readonly headSize: number
}

/** 128 positions of every layer. Caches that begin alike hold the same page. */
export interface Page {
  /** Where it lies; changes when the arena is put in order. */
  index: number
  owners: number
  /** Rows that saw it in the last pass that used it, and that pass's number. */
  visitors: number
  used: number
}

/** Up to 128 positions behind the last page, of every layer. Shared by forks until one of them writes. */
export interface Tail {
  readonly index: number
  owners: number
}

/** One layer's arrays. What no page and no tail owns is never read. */
export interface ArenaLayer {
  /** [pages, kvHeads, headSize, 128] and [pages, kvHeads, 128, headSize] */
  pageKeys: Float32Array
  pageValues: Float32Array
  /** [1 + tails·128, kvHeads, headSize]: the first row is zeros, and stays so */
  tailKeys: Float32Array
  tailValues: Float32Array
}

/** The row of tail memory that holds a tail's position. */
export const tailRow = (tail: Tail, position: number): number => 1 + tail.index * blockSize + (position % blockSize)

export class Arena {
  readonly shape: CacheShape
  readonly layers: readonly ArenaLayer[]
  /** By index: there are no holes. */
  readonly pages: Page[] = []
  #tails: (Tail | undefined)[] = []
  #trim: ReturnType<typeof setTimeout> | undefined
  /** Pages that were copied to put the arena in order. */
  moves = 0

  constructor(shape: CacheShape) {
    this.shape = shape
    this.layers = Array.from({ length: shape.layers }, () => ({
      pageKeys: new Float32Array(0),
      pageValues: new Float32Array(0),
      tailKeys: new Float32Array(this.rowSize),
      tailValues: new Float32Array(this.rowSize),
    }))
  }

  /** Numbers of a position in one layer, keys or values. */
  get rowSize(): number {
    return this.shape.kvHeads * this.shape.headSize
  }
  get pageSize(): number {
    return blockSize * this.rowSize
  }
  get tails(): number {
    return this.#tails.length
  }
  /** Bytes of memory held. */
  get bytes(): number {
    return this.layers.reduce((sum, l) => sum + 2 * (l.pageKeys.byteLength + l.tailKeys.byteLength), 0)
  }

  openPage(): Page {
    const page = { index: this.pages.length, owners: 1, visitors: 0, used: 0 }
    this.pages.push(page)
    this.#fitPages()
    return page
  }

  /** The last page takes the place of one that nobody holds any more. */
  releasePage(page: Page): void {
    if (--page.owners > 0) return
    const last = this.pages.at(-1)!
    if (last !== page) this.#copy(last.index, page.index)
    this.pages[page.index] = last
    last.index = page.index
    this.pages.pop()
    this.#fitPages()
  }

  /** The page itself if nobody else holds it, else a copy: another layer of it is about to be written. */
  ownPage(page: Page): Page {
    if (page.owners === 1) return page
    const copy = this.openPage()
    this.#copy(page.index, copy.index)
    this.releasePage(page)
    return copy
  }

  /** Whether these pages lie one behind the other. */
  inRow(pages: readonly Page[]): boolean {
    return pages.every((page, i) => page.index === pages[0]!.index + i)
  }

  /** Puts these pages one behind the other. */
  arrange(pages: readonly Page[]): void {
    if (this.inRow(pages)) return
    const first = Math.min(pages[0]!.index, this.pages.length - pages.length)
    for (const [i, page] of pages.entries()) this.swap(page, this.pages[first + i]!)
  }

  openTail(): Tail {
    const free = this.#tails.indexOf(undefined)
    const tail = { index: free < 0 ? this.#tails.length : free, owners: 1 }
    this.#tails[tail.index] = tail
    this.#fitTails()
    return tail
  }

  releaseTail(tail: Tail): void {
    if (--tail.owners > 0) return
    this.#tails[tail.index] = undefined
    while (this.#tails.length > 0 && this.#tails.at(-1) === undefined) this.#tails.pop()
    this.#fitTails()
  }

  /** A tail of one's own with the same first rows. */
  copyTail(tail: Tail, rows: number): Tail {
    const copy = this.openTail()
    const [from, to] = [tailRow(tail, 0) * this.rowSize, tailRow(copy, 0) * this.rowSize]
    for (const { tailKeys, tailValues } of this.layers)
      for (const array of [tailKeys, tailValues]) array.copyWithin(to, from, from + rows * this.rowSize)
    this.releaseTail(tail)
    return copy
  }

  /** Pages `a` and `b` change places. */
  swap(a: Page, b: Page): void {
    if (a === b) return
    const spare = new Float32Array(this.pageSize)
    for (const { pageKeys, pageValues } of this.layers)
      for (const array of [pageKeys, pageValues]) {
        const [x, y] = [a.index * this.pageSize, b.index * this.pageSize]
        spare.set(array.subarray(x, x + this.pageSize))
        array.copyWithin(x, y, y + this.pageSize)
        array.set(spare, y)
      }
    ;[a.index, b.index] = [b.index, a.index]
    this.pages[a.index] = a
    this.pages[b.index] = b
    this.moves += 2
  }

  #copy(from: number, to: number): void {
    const size = this.pageSize
    for (const { pageKeys, pageValues } of this.layers)
      for (const array of [pageKeys, pageValues]) array.copyWithin(to * size, from * size, (from + 1) * size)
    this.moves++
  }

  get #usedPages(): number {
    return this.pages.length * this.pageSize
  }
  get #usedTails(): number {
    return this.rowSize + this.#tails.length * this.pageSize
  }

  #fitPages(): void {
    const used = this.#usedPages
    for (const layer of this.layers) {
      layer.pageKeys = grown(layer.pageKeys, used)
      layer.pageValues = grown(layer.pageValues, used)
    }
    this.#trimLater()
  }

  #fitTails(): void {
    const used = this.#usedTails
    for (const layer of this.layers) {
      layer.tailKeys = grown(layer.tailKeys, used)
      layer.tailValues = grown(layer.tailValues, used)
    }
    this.#trimLater()
  }

  /** Sequences end together and others begin at once: giving memory back in between took a tenth of a job's time. */
  #trimLater(): void {
    const { pageKeys, tailKeys } = this.layers[0]!
    if (!isWide(pageKeys, this.#usedPages) && !isWide(tailKeys, this.#usedTails)) return
    this.#trim ??= setTimeout(() => {
      this.#trim = undefined
      const [pages, tails] = [this.#usedPages, this.#usedTails]
      for (const layer of this.layers) {
        layer.pageKeys = trimmed(layer.pageKeys, pages)
        layer.pageValues = trimmed(layer.pageValues, pages)
        layer.tailKeys = trimmed(layer.tailKeys, tails)
        layer.tailValues = trimmed(layer.tailValues, tails)
      }
    }, patience).unref()
  }
}

/** How long memory is kept that nobody needs. [milliseconds] */
const patience = 1000

/** By half when it must. */
function grown(array: Float32Array, needed: number): Float32Array {
  if (needed <= array.length) return array
  const other = new Float32Array(Math.max(needed, Math.ceil(array.length * 1.5)))
  other.set(array)
  return other
}

const isWide = (array: Float32Array, needed: number): boolean => needed < array.length / 4

const trimmed = (array: Float32Array, needed: number): Float32Array =>
  isWide(array, needed) ? array.slice(0, needed) : array
