/** Where a feature drafter's training starts: a fitted fusion, and a layer that adds little to it at first. */
import { type DrafterSizes, drafterTensors, gates } from "../../models/drafter/sizes.ts"
import type { Random } from "../../tensor/random.ts"
import type { Parameter } from "../recipe.ts"
import type { LinearFit } from "./ridge.ts"

/** What is added to the fitted line starts at a tenth: a layer at full strength begins far off (loss 72 instead of 3.5). */
const small = 0.1
const quiet: ReadonlySet<string> = new Set(["output.weight", "down.weight", `gate${gates - 1}.weight`])

export function drafterParameters(sizes: DrafterSizes, fit: LinearFit): Parameter[] {
  return [...drafterTensors(sizes)].map(([name, shape]) => {
    const count = shape.reduce((n, dim) => n * dim, 1)
    if (name === "fusion.weight") return { name, shape, initial: () => fit.weight.slice() }
    if (name === "fusion.bias") return { name, shape, initial: () => fit.bias.slice() }
    if (shape.length === 1)
      return { name, shape, initial: () => new Float32Array(count).fill(name.includes("Norm") ? 1 : 0) }
    const scale = (quiet.has(name) ? small : 1) / Math.sqrt(shape[1]!)
    return { name, shape, initial: (random) => bell(random, count, scale) }
  })
}

/** Sum of three uniform numbers: bell-shaped, of this standard deviation. */
const bell = (random: Random, count: number, deviation: number): Float32Array =>
  Float32Array.from({ length: count }, () => 2 * deviation * (random.next() + random.next() + random.next() - 1.5))
