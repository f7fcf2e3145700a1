/** The small model as a differentiable graph: the target's embeddings in, logits over the draft vocabulary out. */
import { ForerunError } from "../../base/errors.ts"
import {
  projectionName,
  type SmallModelSizes,
  smallModelConfig,
  smallModelShapes,
  smallPrefix,
} from "../../decoding/drafters/small-model.ts"
import { fusedMatmul, type Graph, reshape, type Value } from "../../graph/index.ts"
import type { ModelConfig } from "../../models/config.ts"
import { trainingView } from "../../models/training/view.ts"
import type { TensorInfo, WeightSource } from "../../models/weights.ts"

/** Trained in place of the head's own rows, which are the target's rows for these tokens times it: [hidden, target's]. */
export const headProjection = `${smallPrefix}head`
const headName = "lm_head.weight"

/** What is trained, with shapes, by name in the part. */
export function trainedShapes(sizes: SmallModelSizes, target: ModelConfig): Map<string, readonly number[]> {
  const shapes = [...smallModelShapes(smallModelConfig(sizes, target))].filter(([name]) => name !== headName)
  const both = [sizes.hidden, target.hidden]
  return new Map<string, readonly number[]>([
    [projectionName, both],
    [headProjection, both],
    ...shapes.map(([name, shape]) => [`${smallPrefix}${name}`, shape] as const),
  ])
}

export interface SmallModelInputs {
  readonly graph: Graph
  parameter(name: string): Value
  readonly sizes: SmallModelSizes
  readonly target: ModelConfig
  /** Rows of the target's head for the draft vocabulary: [vocabulary, target's hidden]. */
  readonly headRows: Float32Array
}

/**
 * @param embedded [batch, length, target's hidden]
 * @returns logits [batch·length, vocabulary], and the head's rows of the target as a value for the teacher's
 */
export function smallModelLogits(embedded: Value, inputs: SmallModelInputs): { logits: Value; headRows: Value } {
  const { graph, parameter, sizes, target } = inputs
  const [batch, length, width] = embedded.shape as number[]
  const { buffer, byteOffset, byteLength } = inputs.headRows
  const bytes = new Uint8Array(buffer, byteOffset, byteLength)
  const headRows = graph.weight("target head", "float32", [sizes.vocabulary, width!], () => bytes)
  const config = smallModelConfig(sizes, target)
  const view = trainingView(graph, {
    config,
    weights: shapesOnly(smallModelShapes(config)),
    adapt: ({ name }) =>
      name === headName
        ? fusedMatmul(headRows, parameter(headProjection), { transB: true })
        : parameter(`${smallPrefix}${name}`),
  })
  const rows = reshape(embedded, [batch! * length!, width!])
  const x = fusedMatmul(rows, parameter(projectionName), { transB: true })
  const state = view.norm(view.layers(x, [0, sizes.layers], { batch: batch!, length: length! }))
  return { logits: view.head(state), headRows }
}

/** The head's rows as they are saved: headRows · projectionᵀ, [vocabulary, hidden]. */
export function materialisedHead(headRows: Float32Array, projection: Float32Array, sizes: SmallModelSizes) {
  const { vocabulary, hidden } = sizes
  const width = projection.length / hidden
  const values = new Float32Array(vocabulary * hidden)
  for (let row = 0; row < vocabulary; row++)
    for (let i = 0; i < hidden; i++) {
      let sum = 0
      for (let j = 0; j < width; j++) sum += headRows[row * width + j]! * projection[i * width + j]!
      values[row * hidden + i] = sum
    }
  return { name: `${smallPrefix}${headName}`, shape: [vocabulary, hidden], values }
}

/** Nothing of it is frozen, so nothing is ever read. */
function shapesOnly(shapes: ReadonlyMap<string, readonly number[]>): WeightSource {
  const none = (name: string): never => {
    throw new ForerunError("E_INTERNAL", `${name} is trained, not read`)
  }
  const tensors = [...shapes].map(([name, shape]): [string, TensorInfo] => [
    name,
    { name, shape, type: "F32", bytes: 4 * shape.reduce((n, dim) => n * dim, 1) },
  ])
  return { tensors: new Map(tensors), raw: none, float32: none, close() {} }
}
