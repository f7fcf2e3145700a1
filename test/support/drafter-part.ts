/** Untrained weights of a feature drafter, for any target. */
import type { PartTarget } from "../../src/decoding/method-part.ts"
import { type DrafterSizes, drafterSizes, drafterTensors } from "../../src/models/drafter/sizes.ts"
import type { PartTensor } from "../../src/models/trained-part.ts"
import type { TestPart } from "./test-part.ts"
import { seeded } from "./tiny-model.ts"

export interface RandomDrafter extends Pick<DrafterSizes, "span" | "fusion" | "layers"> {
  readonly seed?: number
  /** Tokens it can draft; default every second one. */
  readonly vocabulary?: readonly number[]
}

export const testIntermediate = 48

export function randomDrafterTensors(sizes: DrafterSizes, seed = 1): Map<string, PartTensor> {
  const random = seeded(seed)
  return new Map(
    [...drafterTensors(sizes)].map(([name, shape]) => {
      const size = shape.reduce((n, dim) => n * dim, 1)
      const [centre, scale] = shape.length > 1 ? [0, 2 / Math.sqrt(shape[1]!)] : [name.includes("Norm") ? 1 : 0, 0.3]
      const values = Float32Array.from({ length: size }, () => centre + (random() + random() + random() - 1.5) * scale)
      return [name, { shape, values }]
    }),
  )
}

export const randomDrafter =
  ({ span, fusion, layers = 1, seed, vocabulary }: RandomDrafter) =>
  ({ config }: Pick<PartTarget, "config">): TestPart => {
    const ids = vocabulary ?? Array.from({ length: config.vocabulary >> 1 }, (_, i) => 2 * i + (i % 3 === 0 ? 1 : 0))
    const sizes = drafterSizes(config, { span, fusion, layers, intermediate: testIntermediate })
    return {
      tensors: randomDrafterTensors(sizes, seed)
        .set("vocabulary", { shape: [ids.length], values: Float32Array.from(ids) })
        .set("span", { shape: [1], values: Float32Array.of(span) }),
    }
  }
