/** For tests: untrained weights of a small model and of a head. */
import {
  projectionName,
  type SmallModelSizes,
  smallModelConfig,
  smallModelShapes,
  smallPrefix,
  vocabularyName,
} from "../../decoding/drafters/small-model.ts"
import type { ModelConfig } from "../../models/config.ts"
import type { PartTensor } from "../../models/trained-part.ts"
import { createRandom, type Random } from "../../tensor/random.ts"
import { headTensors } from "./acceptance-head.ts"

const randomTensor = (shape: readonly number[], random: Random, scale = 1): PartTensor => {
  const size = shape.reduce((n, dim) => n * dim, 1)
  const norm = shape.length === 1 ? 1 : 0
  return { shape, values: Float32Array.from({ length: size }, () => norm + (2 * random.next() - 1) * scale) }
}

export function randomHead(width: number, depth: number, { seed = 1, tied = false } = {}): Map<string, PartTensor> {
  const random = createRandom(seed)
  const tensors = new Map<string, PartTensor>()
  for (let block = 0; block < (tied ? Math.min(1, depth) : depth); block++) {
    tensors.set(headTensors.weight(block), randomTensor([width, width], random.fork(block), 1 / Math.sqrt(width)))
    tensors.set(headTensors.bias(block), randomTensor([width], random.fork(`bias ${block}`), 0.5))
  }
  tensors.set(headTensors.out, randomTensor([2, width], random.fork("out"), 1 / Math.sqrt(width)))
  tensors.set(headTensors.outBias, randomTensor([2], random.fork("out bias"), 0.5))
  return tensors
}

/** Knows every other token of the target. */
export function randomSmallModel(target: ModelConfig, sizes: Partial<SmallModelSizes> = {}): Map<string, PartTensor> {
  const ids = Float32Array.from({ length: Math.ceil(target.vocabulary / 2) }, (_, i) => 2 * i)
  const all = { layers: 2, hidden: 32, kvHeads: 1, intermediate: 48, vocabulary: ids.length, ...sizes }
  const random = createRandom(7)
  const tensors = new Map<string, PartTensor>([[vocabularyName, { shape: [ids.length], values: ids }]])
  tensors.set(projectionName, randomTensor([all.hidden, target.hidden], random, 1 / Math.sqrt(target.hidden)))
  for (const [name, shape] of smallModelShapes(smallModelConfig(all, target)))
    tensors.set(`${smallPrefix}${name}`, randomTensor(shape, random.fork(name), 2 / Math.sqrt(shape.at(-1)!)))
  return tensors
}
