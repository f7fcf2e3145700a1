/** Training the head on rows that were judged, wherever they come from. */
import type { TensorToSave } from "../../models/trained-part.ts"
import type { Random } from "../../tensor/random.ts"
import type { Data, Parameter, Training } from "../../train/recipe.ts"
import { headTensors } from "./acceptance-head.ts"
import { type HeadShape, headDivergence, headLogits, headLoss, storedBlocks } from "./head-loss.ts"
import type { Judged } from "./labels.ts"

export interface HeadLesson {
  readonly learned: Judged
  /** To validate on; may be empty. */
  readonly held: Judged
  readonly shape: HeadShape
  /** How much more refusals weigh. */
  readonly rejectWeight: number
}

export interface HeadTraining extends Training {
  finish(values: ReadonlyMap<string, Float32Array>): readonly TensorToSave[]
}

/** The metrics are those of the recipe: `loss`, and the paper's `divergence`. */
export function headTraining({ learned, held, shape, rejectWeight }: HeadLesson): HeadTraining {
  const parameters = headParameters(shape)
  return {
    parameters,
    data: judgedData(learned, shape.width),
    ...(held.acceptance.length > 0 ? { validation: judgedData(held, shape.width) } : {}),
    loss({ parameter, batch }) {
      const logits = headLogits(batch("states"), parameter, shape)
      const divergence = headDivergence(logits, batch("acceptance"))
      return { loss: headLoss(logits, batch("acceptance"), rejectWeight), metrics: { divergence } }
    },
    finish: (values) => parameters.map(({ name, shape: axes }) => ({ name, shape: axes, values: values.get(name)! })),
  }
}

function headParameters(shape: HeadShape): Parameter[] {
  const { width } = shape
  const spread = (random: Random) => (random.next() * 2 - 1) / Math.sqrt(width)
  const blocks = Array.from({ length: storedBlocks(shape) }, (_, i): Parameter[] => [
    {
      name: headTensors.weight(i),
      shape: [width, width],
      initial: (random) => Float32Array.from({ length: width * width }, () => spread(random)),
    },
    { name: headTensors.bias(i), shape: [width], initial: () => new Float32Array(width) },
  ])
  return [
    ...blocks.flat(),
    {
      name: headTensors.out,
      shape: [2, width],
      initial: (random) => Float32Array.from({ length: 2 * width }, () => spread(random)),
    },
    { name: headTensors.outBias, shape: [2], initial: () => new Float32Array(2) },
  ]
}

/** Tensors: `states` float32 [batch, width], `acceptance` float32 [batch]. */
function judgedData({ states, acceptance }: Judged, width: number): Data {
  return {
    samples: acceptance.length,
    batch(indices) {
      const rows = new Float32Array(indices.length * width)
      for (const [row, index] of indices.entries())
        rows.set(states.subarray(index * width, (index + 1) * width), row * width)
      return {
        tensors: {
          states: { type: "float32", shape: [indices.length, width], data: rows },
          acceptance: {
            type: "float32",
            shape: [indices.length],
            data: Float32Array.from(indices, (index) => acceptance[index]!),
          },
        },
        tokens: indices.length,
      }
    },
  }
}
