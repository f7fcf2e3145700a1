/** The closed-form start of a drafter: the best linear map from a row to the feature that it should predict. */
import type { Random } from "../../tensor/random.ts"
import type { Data } from "../recipe.ts"
import { type FitRows, fitLinear, type LinearFit } from "./ridge.ts"

/** Factors that bring embeddings and features to a mean square of 1 while they are trained on. */
export interface InputScales {
  readonly embedded: number
  readonly features: number
}

export interface FitStartOptions {
  readonly hidden: number
  readonly span: number
  /** Pull to zero, as a share of the inputs' mean square. */
  readonly pull: number
  /** Rows that it is fitted to, about. */
  readonly rows: number
  readonly threads: number
  readonly random: Random
}

/** Windows whose rows are fitted at a time: few, so that nearly all of their rows are picked. */
const together = 4

export function inputScales(data: Data, random: Random): InputScales {
  const { tensors } = data.batch([0], random.fork("scales"))
  const scale = (name: string) => {
    const values = tensors[name]!.data as Float32Array
    let squares = 0
    for (const value of values) squares += value * value
    return squares === 0 ? 1 : Math.sqrt(values.length / squares)
  }
  return { embedded: scale("embedded"), features: scale("features") }
}

/** @returns the map for scaled inputs, and its share of the variance (R²) on rows that it was not fitted to */
export async function fitStart(
  data: Data,
  scales: InputScales,
  options: FitStartOptions,
): Promise<{ fit: LinearFit; explained: number }> {
  const { hidden, pull, threads } = options
  const rowsFrom = (sample: number) => {
    const indices = Array.from({ length: Math.min(together, data.samples - sample) }, (_, i) => sample + i)
    return rowsToFit(data, indices, scales, options)
  }
  const heldOut = data.samples > together ? together : 0
  function* chunks(): Generator<FitRows> {
    let left = options.rows
    for (let sample = heldOut; sample < data.samples && left > 0; sample += together) {
      const rows = rowsFrom(sample)
      if (rows.rows === 0) continue
      left -= rows.rows
      yield rows
    }
  }
  const fit = await fitLinear(chunks(), { inputs: 2 * hidden, outputs: hidden, pull, threads })
  return { fit, explained: explainedShare(fit, rowsFrom(0), hidden) }
}

function rowsToFit(data: Data, indices: readonly number[], scales: InputScales, options: FitStartOptions): FitRows {
  const { hidden, span, random } = options
  const { tensors } = data.batch(indices, random.fork("fit").fork(indices[0]!))
  const wide = tensors.features!.shape[1]!
  const [embedded, features] = [tensors.embedded!.data, tensors.features!.data] as [Float32Array, Float32Array]
  const counts = tensors.counts!.data as Float32Array
  const chosen = Array.from(tensors.picked!.data as BigInt64Array, Number).filter((_, i) => counts[i] === 1)
  const x = new Float32Array(chosen.length * 2 * hidden)
  const y = new Float32Array(chosen.length * hidden)
  for (const [i, row] of chosen.entries()) {
    const at = (Math.floor(row / (wide - span)) * wide + (row % (wide - span))) * hidden
    for (let j = 0; j < hidden; j++) {
      x[i * 2 * hidden + j] = embedded[at + j]! * scales.embedded
      x[i * 2 * hidden + hidden + j] = features[at + j]! * scales.features
      y[i * hidden + j] = features[at + span * hidden + j]!
    }
  }
  return { rows: chosen.length, x, y }
}

/** R² over up to 64 of the rows. */
function explainedShare({ weight, bias }: LinearFit, { rows, x, y }: FitRows, hidden: number): number {
  const count = Math.min(rows, 64)
  let [missed, spread] = [0, 0]
  for (let o = 0; o < hidden; o++) {
    let mean = 0
    for (let row = 0; row < count; row++) mean += y[row * hidden + o]! / count
    for (let row = 0; row < count; row++) {
      let value = bias[o]!
      for (let i = 0; i < 2 * hidden; i++) value += weight[o * 2 * hidden + i]! * x[row * 2 * hidden + i]!
      missed += (y[row * hidden + o]! - value) ** 2
      spread += (y[row * hidden + o]! - mean) ** 2
    }
  }
  return 1 - missed / spread
}
