/** Where a feature drafter's training starts: a fitted fusion, and a layer that adds little to it at first. */
import { type DrafterSizes, drafterTensors, gates } from "../../models/drafter/sizes.ts"
import type { Parameter } from "../recipe.ts"
import { bell } from "../start-values.ts"
import type { LinearFit } from "./ridge.ts"

/** What is added to the fitted line starts at a tenth: a layer at full strength begins far off (loss 72 instead of 3.5). */
const small = 0.1
const quiet = (name: string): boolean => /(^|\.)(output|down)\.weight$/.test(name) || name === `gate${gates - 1}.weight`

/** @param fit the closed-form start; without one the fusion starts at random like the layers */
export function drafterParameters(sizes: DrafterSizes, fit?: LinearFit): Parameter[] {
  return [...drafterTensors(sizes)].map(([name, shape]) => {
    const count = shape.reduce((n, dim) => n * dim, 1)
    const fitted = fit && fittedStart(name, sizes, fit)
    if (fitted) return { name, shape, initial: () => fitted.slice() }
    if (shape.length === 1)
      return { name, shape, initial: () => new Float32Array(count).fill(name.includes("Norm") ? 1 : 0) }
    const scale = (quiet(name) ? small : 1) / Math.sqrt(shape[1]!)
    return { name, shape, initial: (random) => bell(random, count, scale) }
  })
}

/** What the fit gives a tensor to start with. */
function fittedStart(name: string, { hidden }: DrafterSizes, { weight, bias }: LinearFit): Float32Array | undefined {
  const half = (from: number, factor: number) =>
    Float32Array.from({ length: hidden * hidden }, (_, i) => {
      const [row, column] = [Math.floor(i / hidden), i % hidden]
      return factor * weight[row * 2 * hidden + from + column]!
    })
  if (name === "fusion.weight") return weight
  if (name === "fusion.bias") return bias
  // A dynamic mixture begins with equal shares, and the token's activation x·σ(x) halves once more on average.
  if (name === "featureMap.weight") return half(hidden, 2)
  if (name === "tokenMap.weight") return half(0, 4)
  if (name === "mixGate.weight") return new Float32Array(2 * hidden * hidden)
  return undefined
}
