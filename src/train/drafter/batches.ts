/** Batches for a feature drafter: rows of token and feature, what they should predict, and the rows that count. */
import type { Embed } from "../../models/embedding.ts"
import type { Random } from "../../tensor/random.ts"
import { shuffled } from "../dataset.ts"
import type { Batch, Data } from "../recipe.ts"
import { glancingOrder } from "./glancing.ts"

export interface DrafterBatchOptions {
  /** Windows with `tokens` int64 and `weight` float32 [batch, length], and `final` float32 [batch, length, hidden]. */
  readonly windows: Data
  readonly hidden: number
  readonly span: number
  readonly embed: Embed
  /** Token → its place in the drafter's vocabulary, −1 for those it cannot draft. */
  readonly places: Int32Array
  /** Rows of a batch that the loss is taken over. */
  readonly picked: number
}

/** Rows in a window of so many tokens: each needs the token behind it, and `span` more that it predicts from and to. */
export const rowsInWindow = (length: number, span: number): number => Math.floor((length - span - 1) / span) * span

/**
 * Tensors: embedded, features [batch, rows + span, hidden], token i + 1 and feature i beside each other; picked int64
 * [picked], places among the batch's rows; label int64 [picked], the drafter's place of the token that the row should
 * predict, and counts, inside [picked], whether the row counts and whether the drafter can draft that token; order
 * [batch · rows], for glancing (glancing.ts).
 */
export function drafterBatches({ windows, hidden, span, embed, places, picked }: DrafterBatchOptions): Data {
  return {
    samples: windows.samples,
    batch(indices, random, progress): Batch {
      const { tensors, tokens: weight } = windows.batch(indices, random, progress)
      const [batch, length] = tensors.tokens!.shape as [number, number]
      const tokens = Int32Array.from(tensors.tokens!.data as BigInt64Array, Number)
      const belongs = tensors.weight!.data as Float32Array
      const final = tensors.final!.data as Float32Array
      const rows = rowsInWindow(length, span)
      const wide = (rows + span) * hidden
      const [embedded, features] = [new Float32Array(batch * wide), new Float32Array(batch * wide)]
      for (let window = 0; window < batch; window++) {
        const from = window * length
        const ids = tokens.subarray(from + 1, from + 1 + rows + span)
        embedded.set(
          embed(
            ids,
            Int32Array.from(ids, (_, i) => i + 1),
          ),
          window * wide,
        )
        features.set(final.subarray(from * hidden, (from + rows + span) * hidden), window * wide)
      }
      const counting = countingRows(belongs, { batch, length, rows, span })
      const chosen = choose(counting, picked, random.fork("picked"))
      const labels = chosen.map((row) => places[tokens[Math.floor(row / rows) * length + (row % rows) + span + 1]!]!)
      const floats = (data: Float32Array, ...shape: number[]) => ({ type: "float32", shape, data }) as const
      const whole = (values: readonly number[]) =>
        ({ type: "int64", shape: [values.length], data: BigInt64Array.from(values, BigInt) }) as const
      const counts = Float32Array.from({ length: picked }, (_, i) => (i < counting.length ? 1 : 0))
      return {
        tensors: {
          embedded: floats(embedded, batch, rows + span, hidden),
          features: floats(features, batch, rows + span, hidden),
          picked: whole(chosen),
          label: whole(labels.map((place) => Math.max(0, place))),
          counts: floats(counts, picked),
          inside: floats(
            Float32Array.from(labels, (place) => (place < 0 ? 0 : 1)),
            picked,
          ),
          order: floats(glancingOrder(counting, batch * rows, span, random.fork("order")), batch * rows),
        },
        tokens: Math.min(picked, counting.length, weight),
      }
    },
  }
}

interface WindowRows {
  readonly batch: number
  readonly length: number
  readonly rows: number
  readonly span: number
}

/** Rows whose own token and predicted token both belong to an answer: those that come up when answers are drafted. */
function countingRows(belongs: Float32Array, { batch, length, rows, span }: WindowRows): number[] {
  const found: number[] = []
  for (let window = 0; window < batch; window++)
    for (let row = 0; row < rows; row++) {
      const at = window * length + row
      if (belongs[at + 1] === 1 && belongs[at + span + 1] === 1) found.push(window * rows + row)
    }
  return found
}

/** `count` of the rows, in random order; where there are fewer, row 0 fills up. */
function choose(rows: readonly number[], count: number, random: Random): number[] {
  const order = shuffled(rows.length, random)
  return Array.from({ length: count }, (_, i) => (i < rows.length ? rows[order[i]!]! : 0))
}
