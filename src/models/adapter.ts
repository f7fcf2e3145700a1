/** Changes of a model's weights, kept beside it: low-rank products or whole differences, added when weights are read. */
import { join } from "node:path"
import type { Checkpoint } from "./files/checkpoint.ts"
import { formatError } from "./files/format-error.ts"
import { openPartFolder, type PartTensor, partFile } from "./trained-part.ts"
import type { TensorInfo, WeightSource } from "./weights.ts"

/** Names in a part, before a weight's canonical name. W + up · down, with up [out, rank] and down [rank, in]; or W + whole. */
export const adapterNames = {
  up: (weight: string) => `up/${weight}`,
  down: (weight: string) => `down/${weight}`,
  whole: (weight: string) => `whole/${weight}`,
} as const

/**
 * The checkpoint with the changes of a folder. Its files include the adapter's, so that no converted weights of another
 * adapter, or of none, are taken for its own. @throws E_MODEL_FORMAT when a change fits no weight
 */
export async function withAdapter(checkpoint: Checkpoint, folder: string): Promise<Checkpoint> {
  const { tensors } = await openPartFolder(folder)
  const weights = adaptedWeights(checkpoint.weights, tensors)
  return { ...checkpoint, weights, files: [...checkpoint.files, join(folder, partFile)] }
}

export function adaptedWeights(source: WeightSource, changes: ReadonlyMap<string, PartTensor>): WeightSource {
  const changed = new Set([...changes.keys()].map((name) => weightOf(name)))
  for (const name of changed) checkChange(name, source.tensors.get(name), changes)
  const float32 = (name: string) => (changed.has(name) ? merged(source, name, changes) : source.float32(name))
  const infos = [...source.tensors].map(([name, info]): [string, TensorInfo] => {
    const bytes = 4 * info.shape.reduce((size, dim) => size * dim, 1)
    return [name, changed.has(name) ? { ...info, type: "F32", bytes } : info]
  })
  return {
    tensors: new Map(infos),
    float32,
    raw(name) {
      if (!changed.has(name)) return source.raw(name)
      const { buffer, byteOffset, byteLength } = float32(name)
      return new Uint8Array(buffer, byteOffset, byteLength)
    },
    close: () => source.close(),
  }
}

function weightOf(name: string): string {
  const [, kind, weight] = /^(up|down|whole)\/(.+)$/.exec(name) ?? []
  if (kind === undefined || weight === undefined) throw formatError(`an adapter: ${name} names no change of a weight`)
  return weight
}

function checkChange(name: string, info: TensorInfo | undefined, changes: ReadonlyMap<string, PartTensor>): void {
  const shapeOf = (kind: keyof typeof adapterNames) => changes.get(adapterNames[kind](name))?.shape
  const [up, down, whole] = [shapeOf("up"), shapeOf("down"), shapeOf("whole")]
  const [out, columns] = info?.shape ?? []
  const isProduct = up?.length === 2 && down?.length === 2 && up[1] === down[0] && up[0] === out && down[1] === columns
  const isWhole = whole?.join() === info?.shape.join()
  if (info?.shape.length === 2 && (up || down ? isProduct && !whole : isWhole)) return
  const text = (shape: readonly number[] | undefined) => (shape ? `[${shape.join(", ")}]` : "none")
  throw formatError(
    `an adapter: ${name} is ${text(info?.shape)} here; found up ${text(up)}, down ${text(down)}, whole ${text(whole)}`,
  )
}

function merged(source: WeightSource, name: string, changes: ReadonlyMap<string, PartTensor>): Float32Array {
  const values = source.float32(name).slice()
  const whole = changes.get(adapterNames.whole(name))
  if (whole) return values.map((value, i) => value + whole.values[i]!)
  const [up, down] = [changes.get(adapterNames.up(name))!, changes.get(adapterNames.down(name))!]
  const [rank, columns] = down.shape as [number, number]
  for (let row = 0; row * columns < values.length; row++)
    for (let k = 0; k < rank; k++) {
      const share = up.values[row * rank + k]!
      for (let i = 0; i < columns; i++) values[row * columns + i]! += share * down.values[k * columns + i]!
    }
  return values
}
