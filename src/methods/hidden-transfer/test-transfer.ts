/** Random maps for tiny targets. */

import type { TestPart } from "../../../test/support/test-part.ts"
import { seeded } from "../../../test/support/tiny-model.ts"
import type { PartTarget } from "../../decoding/method-part.ts"

/** Near the identity, as trained maps are; `strength` 0 is the identity itself. */
export function randomMaps(
  { config }: Pick<PartTarget, "config">,
  layers: readonly number[],
  strength = 0.3,
): TestPart {
  const { hidden, vocabulary } = config
  const steps = layers.length
  const random = seeded(31)
  const noise = () => (random() + random() + random() - 1.5) * strength
  const weight = Float32Array.from({ length: steps * hidden * hidden }, (_, i) => {
    const inMap = i % (hidden * hidden)
    return noise() + (Math.floor(inMap / hidden) === inMap % hidden ? 1 : 0)
  })
  // Every third token is never drafted.
  const drafted = Array.from({ length: vocabulary }, (_, id) => id).filter((id) => id % 3 !== 2)
  return {
    tensors: new Map([
      ["weight", { shape: [steps, hidden, hidden], values: weight }],
      ["bias", { shape: [steps, hidden], values: Float32Array.from({ length: steps * hidden }, noise) }],
      ["layers", { shape: [steps], values: Float32Array.from(layers) }],
      ["vocabulary", { shape: [drafted.length], values: Float32Array.from(drafted) }],
    ]),
  }
}
