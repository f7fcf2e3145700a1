/** Keys and values of past positions, owned by the host: full blocks and a tail (layout in models/attention.ts). */
import { ForerunError } from "../base/errors.ts"
import { blockSize } from "../models/builder.ts"

export interface CacheShape {
  readonly layers: number
  readonly kvHeads: number
  readonly headSize: number
}

export interface KvCache {
  /** Positions held by every layer. */
  readonly length: number
  /** A cache with the same past; memory is shared until one of the two writes. */
  fork(): KvCache
  /** Keeps the first `length` positions, in every layer that has more. */
  rewind(length: number): void
  dispose(): void
}

/** One layer's arrays. Rows beyond its length are never read. */
interface LayerStore {
  /** [blocks, kvHeads, headSize, 128] and [blocks, kvHeads, 128, headSize]; capacity may exceed the blocks in use */
  blockKeys: Float32Array
  blockValues: Float32Array
  /** [128, kvHeads, headSize] */
  readonly tailKeys: Float32Array
  readonly tailValues: Float32Array
}

/** Shared between forks until one of them writes. */
interface Store {
  owners: number
  readonly layers: readonly LayerStore[]
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

export class HostCache implements KvCache {
  readonly shape: CacheShape
  /** Position of every cached row, as the passes gave them. */
  positions: Int32Array
  /** Layers may differ in length while a pass has run through some of them only. */
  readonly lengths: Int32Array
  #store: Store
  #disposed = false

  constructor(shape: CacheShape, from?: HostCache) {
    this.shape = shape
    if (from) {
      this.#store = from.#store
      this.#store.owners++
      this.lengths = from.lengths.slice()
      this.positions = from.positions.slice()
      return
    }
    this.positions = new Int32Array(blockSize)
    this.lengths = new Int32Array(shape.layers)
    const row = shape.kvHeads * shape.headSize
    const layers = Array.from({ length: shape.layers }, () => ({
      blockKeys: new Float32Array(0),
      blockValues: new Float32Array(0),
      tailKeys: new Float32Array(blockSize * row),
      tailValues: new Float32Array(blockSize * row),
    }))
    this.#store = { owners: 1, layers }
  }

  get length(): number {
    return this.lengths.reduce((least, length) => Math.min(least, length), this.lengths[0]!)
  }
  get disposed(): boolean {
    return this.#disposed
  }
  /** Bytes of memory held; bytes shared between forks are counted for each. */
  get bytes(): number {
    return this.#store.layers.reduce((sum, l) => sum + 2 * (l.blockKeys.byteLength + l.tailKeys.byteLength), 0)
  }

  /** Views of exactly the rows in use. */
  layer(index: number): LayerStore {
    const store = this.#store.layers[index]!
    const length = this.lengths[index]!
    const row = this.shape.kvHeads * this.shape.headSize
    const inTail = (length % blockSize) * row
    const inBlocks = length * row - inTail
    return {
      blockKeys: store.blockKeys.subarray(0, inBlocks),
      blockValues: store.blockValues.subarray(0, inBlocks),
      tailKeys: store.tailKeys.subarray(0, inTail),
      tailValues: store.tailValues.subarray(0, inTail),
    }
  }

  fork(): HostCache {
    this.#check()
    return new HostCache(this.shape, this)
  }

  rewind(length: number): void {
    this.#check()
    if (!Number.isInteger(length) || length < 0 || length > this.length)
      throw new ForerunError("E_INPUT", `cannot rewind a cache of ${this.length} positions to ${length}`)
    for (let layer = 0; layer < this.shape.layers; layer++) {
      const reopened = Math.floor(length / blockSize) < Math.floor(this.lengths[layer]! / blockSize)
      if (reopened && length % blockSize > 0) this.#reopen(layer, length)
      this.lengths[layer] = length
    }
  }

  /** Appends the chosen rows of a pass to the layers it ran through. */
  append(rows: readonly number[], added: NewRows): void {
    this.#check()
    if (rows.length === 0) return
    this.#own()
    const size = this.shape.kvHeads * this.shape.headSize
    const [from, to] = added.layers
    const start = this.lengths[from]!
    this.#growPositions(start + rows.length)
    rows.forEach((row, i) => {
      this.positions[start + i] = added.positions[row]!
    })
    for (let index = from; index < to; index++) {
      const layer = this.#store.layers[index]!
      for (const row of rows) {
        const at = (this.lengths[index]! % blockSize) * size
        const source = ((index - from) * added.stride + row) * size
        layer.tailKeys.set(added.keys.subarray(source, source + size), at)
        layer.tailValues.set(added.values.subarray(source, source + size), at)
        if (++this.lengths[index]! % blockSize === 0) this.#closeBlock(layer, this.lengths[index]! / blockSize - 1)
      }
    }
  }

  dispose(): void {
    if (this.#disposed) return
    this.#disposed = true
    this.#store.owners--
    this.#store = { owners: 1, layers: [] }
    this.lengths.fill(0)
  }

  /** The tail is full: it becomes block `block`, its keys transposed. */
  #closeBlock(layer: LayerStore, block: number): void {
    const { kvHeads, headSize } = this.shape
    const size = blockSize * kvHeads * headSize
    if (layer.blockKeys.length < (block + 1) * size) {
      const capacity = Math.max(block + 1, Math.ceil(block * 1.5)) * size
      layer.blockKeys = grown(layer.blockKeys, capacity, block * size)
      layer.blockValues = grown(layer.blockValues, capacity, block * size)
    }
    for (let head = 0; head < kvHeads; head++)
      for (let position = 0; position < blockSize; position++) {
        const from = (position * kvHeads + head) * headSize
        const base = block * size + head * blockSize * headSize
        layer.blockValues.set(layer.tailValues.subarray(from, from + headSize), base + position * headSize)
        for (let i = 0; i < headSize; i++) layer.blockKeys[base + i * blockSize + position] = layer.tailKeys[from + i]!
      }
  }

  /** Rewinding into a full block: its first positions become the tail again. */
  #reopen(index: number, length: number): void {
    this.#own()
    const layer = this.#store.layers[index]!
    const { kvHeads, headSize } = this.shape
    const block = Math.floor(length / blockSize)
    for (let head = 0; head < kvHeads; head++)
      for (let position = 0; position < length % blockSize; position++) {
        const to = (position * kvHeads + head) * headSize
        const base = (block * kvHeads + head) * blockSize * headSize
        const from = base + position * headSize
        layer.tailValues.set(layer.blockValues.subarray(from, from + headSize), to)
        for (let i = 0; i < headSize; i++) layer.tailKeys[to + i] = layer.blockKeys[base + i * blockSize + position]!
      }
  }

  /** Copies what is shared before the first write to it. */
  #own(): void {
    if (this.#store.owners === 1) return
    this.#store.owners--
    const layers = this.#store.layers.map((layer) => ({
      blockKeys: layer.blockKeys.slice(),
      blockValues: layer.blockValues.slice(),
      tailKeys: layer.tailKeys.slice(),
      tailValues: layer.tailValues.slice(),
    }))
    this.#store = { owners: 1, layers }
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

function grown(array: Float32Array, capacity: number, used: number): Float32Array {
  const larger = new Float32Array(capacity)
  larger.set(array.subarray(0, used))
  return larger
}
