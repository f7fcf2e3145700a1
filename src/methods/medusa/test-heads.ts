/** Random heads for tiny targets. */
import { seeded } from "../../../test/support/tiny-model.ts"
import type { PartTarget } from "../../decoding/method-part.ts"
import type { PartTensor } from "../../models/trained-part.ts"

interface RandomHeads {
  readonly heads?: number
  readonly blocks?: number
  readonly own?: boolean
  /** Size of the draft vocabulary. */
  readonly words?: number
  readonly scale?: number
}

/** Heads of random weights; scale 0: untrained ones. */
export function randomHeads({ config }: Pick<PartTarget, "config">, given: RandomHeads = {}): Map<string, PartTensor> {
  const { heads = 3, blocks = 1, own = false, words, scale = 0.4 } = given
  const random = seeded(9)
  const { hidden, vocabulary } = config
  const tensors = new Map<string, PartTensor>()
  const add = (name: string, shape: readonly number[]) => {
    const size = shape.reduce((product, axis) => product * axis, 1)
    tensors.set(name, { shape, values: Float32Array.from({ length: size }, () => (random() - 0.5) * scale) })
  }
  const size = Math.min(words ?? vocabulary, vocabulary)
  for (let head = 0; head < heads; head++) {
    for (let block = 0; block < blocks; block++) {
      add(`${head}.${block}.linear.weight`, [hidden, hidden])
      add(`${head}.${block}.linear.bias`, [hidden])
    }
    if (own) add(`${head}.${blocks}.weight`, [size, hidden])
  }
  if (words !== undefined)
    tensors.set("vocabulary", {
      shape: [size],
      values: Float32Array.from({ length: size }, (_, i) => vocabulary - size + i),
    })
  return tensors
}
