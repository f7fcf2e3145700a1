/** Fills the graph's inputs for one pass. */

import type { ModelGraph } from "../models/build-model.ts"
import { blockSize } from "../models/builder.ts"
import { ropeFrequencies, ropeRow } from "../models/rope.ts"
import type { HostCache } from "./kv-cache.ts"
import { biasesOf, type Mask } from "./mask.ts"
import type { HostTensor, Session } from "./session.ts"

export interface FeedRequest {
  /** [rows · hidden] */
  readonly x: Float32Array
  readonly positions: Int32Array
  readonly mask: Mask
  readonly cache: HostCache
  readonly layers: readonly [number, number]
  readonly logitRows: readonly number[]
  readonly top: number
  readonly wantHidden: boolean
}

export type Feeder = (request: FeedRequest) => Record<string, HostTensor>

export function createFeeder(
  model: Pick<ModelGraph, "config" | "ropeTables" | "windows" | "steerable">,
  session: Session,
): Feeder {
  const { config, ropeTables, windows } = model
  const { kvHeads, headSize } = config
  const groups = config.heads / kvHeads
  const frequencies = ropeTables.map(({ rope }) => {
    const longrope = rope.scaling?.type === "longrope" ? rope.scaling.originalContext : Number.POSITIVE_INFINITY
    const [near, far] = [ropeFrequencies(rope), ropeFrequencies(rope, true)]
    return (position: number) => (position < longrope ? near : far)
  })
  const float = (data: Float32Array, dims: readonly number[]) => session.tensor("float32", data, dims)
  const flag = (value: boolean) => session.tensor("bool", Uint8Array.of(value ? 1 : 0), [])
  const [yes, no] = [flag(true), flag(false)]
  const integer = (value: number) => session.tensor("int64", BigInt64Array.of(BigInt(value)), [])
  const ones = new Float32Array(4 * blockSize).fill(1)
  const blockOnes = float(ones.subarray(0, blockSize), [blockSize, 1])
  const zeros = new Float32Array(blockSize * kvHeads * headSize)
  const hiddenBlock = {
    keys: float(zeros, [1, kvHeads, headSize, blockSize]),
    values: float(zeros, [1, kvHeads, blockSize, headSize]),
  }
  const onesFor = (count: number) =>
    float(count <= ones.length ? ones.subarray(0, count) : new Float32Array(count).fill(1), [count, 1])

  return ({ x, positions, mask, cache, layers, logitRows, top, wantHidden }) => {
    const rows = positions.length
    const past = cache.lengths[layers[0]] ?? 0
    const tail = past % blockSize
    const blocks = (past - tail) / blockSize
    const feeds: Record<string, HostTensor> = {
      x: float(x, [rows, config.hidden]),
      blockOnes,
      tailOnes: onesFor(tail + rows),
      wantHidden: wantHidden ? yes : no,
      wantTop: top > 0 ? yes : no,
      top: session.tensor("int64", BigInt64Array.of(BigInt(Math.max(top, 1))), [1]),
      logitRows: session.tensor("int64", BigInt64Array.from(logitRows, BigInt), [logitRows.length]),
    }
    if (model.steerable) {
      feeds.from = integer(layers[0])
      feeds.to = integer(layers[1])
    }
    ropeTables.forEach(({ rope, turning, still }, index) => {
      const half = rope.dimensions / 2
      const row = (turning + still) * half
      const cos = new Float32Array(rows * row).fill(1)
      const sin = new Float32Array(rows * row)
      for (let r = 0; r < rows; r++) {
        const at = r * row
        const position = positions[r]!
        ropeRow(frequencies[index]!(position), position, cos, sin, at)
        for (let head = 1; head < turning; head++) {
          cos.copyWithin(at + head * half, at, at + half)
          sin.copyWithin(at + head * half, at, at + half)
        }
      }
      feeds[`cos${index}`] = float(cos, [rows * (turning + still), half])
      feeds[`sin${index}`] = float(sin, [rows * (turning + still), half])
    })
    windows.forEach((window, index) => {
      const context = { rows, past, positions, pastPositions: cache.positions, groups }
      const bias = biasesOf(mask, window, context)
      feeds[`bias${index}`] = float(bias.tail.data, bias.tail.dims)
      feeds[`blockBias${index}`] = float(bias.blocks.data, bias.blocks.dims)
    })
    for (let index = 0; index < config.layers; index++) {
      // A steerable graph gets the caches of layers that do not run as empty: they may be of another length.
      const used = index >= layers[0] && index < layers[1]
      const layer = cache.layer(index)
      const part = (array: Float32Array) => (used ? array : array.subarray(0, 0))
      const t = used ? tail : 0
      if (used && blocks > 0) {
        feeds[`blockKeys${index}`] = float(layer.blockKeys, [blocks, kvHeads, headSize, blockSize])
        feeds[`blockValues${index}`] = float(layer.blockValues, [blocks, kvHeads, blockSize, headSize])
      } else {
        feeds[`blockKeys${index}`] = hiddenBlock.keys
        feeds[`blockValues${index}`] = hiddenBlock.values
      }
      feeds[`tailKeys${index}`] = float(part(layer.tailKeys), [t, kvHeads, headSize])
      feeds[`tailValues${index}`] = float(part(layer.tailValues), [t, kvHeads, headSize])
    }
    return feeds
  }
}
