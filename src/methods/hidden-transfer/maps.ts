/** Maps while they are trained, in units of the channels, and as they are saved. */
import type { TensorToSave } from "../../models/trained-part.ts"
import { type Moments, ridgeMap } from "./moments.ts"
import type { TransferStop } from "./pseudo-rows.ts"

/** Names of a step's parameters, from step 1. */
export const mapName = (step: number) => `map${step}`
export const offsetName = (step: number) => `offset${step}`

export interface StartingMaps {
  /** Of each stop. */
  readonly moments: readonly Moments[]
  readonly scales: readonly Float32Array[]
  /** Of the least squares; undefined: the identity. */
  readonly penalty: number | undefined
}

/** Start values by name. */
export function startingMaps(stops: readonly TransferStop[], { moments, scales, penalty }: StartingMaps) {
  const values = new Map<string, Float32Array>()
  for (const [i, { before, count }] of stops.entries())
    for (let j = 0; j < count; j++) {
      const hidden = scales[i]!.length
      const { map, offset } =
        penalty === undefined
          ? { map: new Float32Array(hidden * hidden), offset: new Float32Array(hidden) }
          : ridgeMap(moments[i]!, j, { scales: scales[i]!, penalty })
      values.set(mapName(before + j + 1), map)
      values.set(offsetName(before + j + 1), offset)
    }
  return values
}

export interface SavedMaps {
  readonly layers: readonly number[]
  readonly stops: readonly TransferStop[]
  readonly scales: readonly Float32Array[]
}

/** For plain states: I + diag(scale)·D·diag(1 / scale), and scale ∘ offset. */
export function savedMaps(values: ReadonlyMap<string, Float32Array>, saved: SavedMaps): TensorToSave[] {
  const { layers, stops, scales } = saved
  const hidden = scales[0]!.length
  const steps = layers.length
  const weight = new Float32Array(steps * hidden * hidden)
  const bias = new Float32Array(steps * hidden)
  for (const [i, { before, count }] of stops.entries())
    for (let step = before; step < before + count; step++) {
      const [map, offset, scale] = [values.get(mapName(step + 1))!, values.get(offsetName(step + 1))!, scales[i]!]
      for (let out = 0; out < hidden; out++) {
        bias[step * hidden + out] = scale[out]! * offset[out]!
        for (let into = 0; into < hidden; into++) {
          const own = out === into ? 1 : 0
          const moved = (scale[out]! * map[out * hidden + into]!) / scale[into]!
          weight[(step * hidden + out) * hidden + into] = own + moved
        }
      }
    }
  return [
    { name: "weight", shape: [steps, hidden, hidden], values: weight },
    { name: "bias", shape: [steps, hidden], values: bias, type: "F32" },
    { name: "layers", shape: [steps], values: Float32Array.from(layers), type: "F32" },
  ]
}
