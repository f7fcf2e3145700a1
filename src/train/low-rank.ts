/** Which weights of a model are changed, and how: as trained parameters, and as the graph adds them. */
import { ForerunError } from "../base/errors.ts"
import { add, fusedMatmul, type Value } from "../graph/index.ts"
import { adapterNames } from "../models/adapter.ts"
import type { Adapt, Beside } from "../models/training/weights.ts"
import type { TensorInfo } from "../models/weights.ts"
import type { Random } from "../tensor/random.ts"

export interface ChangeSettings {
  /** Of the products; 0 = whole matrices. */
  readonly rank: number
  /** The last so many layers are changed; 0 = all. */
  readonly layers: number
}

export interface Change {
  readonly name: string
  readonly shape: readonly number[]
  /** Spread of the start values; 0 = the model as it is. */
  readonly spread: number
}

/** The matrices of attention and MLPs in the last layers: their changes as parameters. */
export function changesOf(
  tensors: ReadonlyMap<string, TensorInfo>,
  all: number,
  { rank, layers }: ChangeSettings,
): Change[] {
  const first = layers === 0 ? 0 : Math.max(0, all - layers)
  const found = [...tensors.values()].flatMap(({ name, shape }): Change[] => {
    const layer = /^model\.layers\.(\d+)\.(self_attn|mlp)\..*_proj\.weight$/.exec(name)?.[1]
    if (layer === undefined || Number(layer) < first) return []
    const [out, columns] = shape as [number, number]
    if (rank === 0) return [{ name: adapterNames.whole(name), shape, spread: 0 }]
    return [
      { name: adapterNames.up(name), shape: [out, rank], spread: 0 },
      { name: adapterNames.down(name), shape: [rank, columns], spread: 1 / Math.sqrt(columns) },
    ]
  })
  if (found.length > 0) return found
  throw new ForerunError("E_MODEL_UNSUPPORTED", "there are no matrices of attention and MLPs that could be changed")
}

/** Start values of a change. */
export function drawn({ shape, spread }: Change, random: Random): Float32Array {
  const size = shape.reduce((n, dim) => n * dim, 1)
  return Float32Array.from({ length: size }, () => (2 * random.next() - 1) * spread)
}

/** Low-rank changes as products beside the frozen weights'. */
export function besideBy(changes: readonly Change[], parameter: (name: string) => Value): Beside {
  const names = new Set(changes.map(({ name }) => name))
  return (weight) => {
    const [up, down] = [adapterNames.up(weight), adapterNames.down(weight)]
    return names.has(up) ? { up: parameter(up), down: parameter(down) } : undefined
  }
}

/** Puts the changed weights in place of the frozen ones. */
export const changedBy =
  (changes: readonly Change[], parameter: (name: string) => Value): Adapt =>
  ({ name, frozen }) => {
    const has = (change: string) => changes.some((one) => one.name === change)
    if (has(adapterNames.whole(name))) return add(frozen(), parameter(adapterNames.whole(name)))
    if (!has(adapterNames.up(name))) return undefined
    return add(frozen(), fusedMatmul(parameter(adapterNames.up(name)), parameter(adapterNames.down(name)), {}))
  }
