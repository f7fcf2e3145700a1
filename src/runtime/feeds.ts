/** Fills the graph's inputs for a pass over one sequence. */
import { blockSize } from "../models/builder.ts"
import { type CommonRequest, createCommonFeeder, type FeedFacts, type Feeds } from "./common-feeds.ts"
import type { HostCache } from "./kv-cache.ts"
import { biasesOf, type Mask } from "./mask.ts"
import type { Session } from "./session.ts"

export interface FeedRequest extends CommonRequest {
  readonly mask: Mask
  readonly cache: HostCache
}

export type Feeder = (request: FeedRequest) => Feeds

export function createFeeder(facts: FeedFacts, session: Session): Feeder {
  const { config, windows } = facts
  const { kvHeads, headSize } = config
  const groups = config.heads / kvHeads
  const common = createCommonFeeder(facts, session)
  const float = (data: Float32Array, dims: readonly number[]) => session.tensor("float32", data, dims)
  const ones = new Float32Array(4 * blockSize).fill(1)
  const blockOnes = float(ones.subarray(0, blockSize), [blockSize, 1])
  const zeros = new Float32Array(blockSize * kvHeads * headSize)
  const hiddenBlock = {
    keys: float(zeros, [1, kvHeads, headSize, blockSize]),
    values: float(zeros, [1, kvHeads, blockSize, headSize]),
  }
  const onesFor = (count: number) =>
    float(count <= ones.length ? ones.subarray(0, count) : new Float32Array(count).fill(1), [count, 1])

  return (request) => {
    const { positions, mask, cache, layers } = request
    const rows = positions.length
    const past = cache.lengths[layers[0]] ?? 0
    const tail = past % blockSize
    const blocks = (past - tail) / blockSize
    const feeds = common(request)
    feeds.blockOnes = blockOnes
    feeds.tailOnes = onesFor(tail + rows)
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
