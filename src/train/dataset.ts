/** Which samples a pass sees: a function of the seed and the pass's number alone, so that a resumed run goes on exactly. */
import { ForerunError } from "../base/errors.ts"
import type { Random } from "../tensor/random.ts"
import type { Data } from "./recipe.ts"

/** 0 … count − 1 in random order (Fisher and Yates). */
export function shuffled(count: number, random: Random): Int32Array {
  const order = Int32Array.from({ length: count }, (_, i) => i)
  for (let i = count - 1; i > 0; i--) {
    const j = Math.floor(random.next() * (i + 1))
    const other = order[j]!
    order[j] = order[i]!
    order[i] = other
  }
  return order
}

/** Indices of pass n. Every sample comes once an epoch, but for a rest smaller than a batch; each epoch has an order of its own. */
export function createSampler(samples: number, batch: number, random: Random): (pass: number) => readonly number[] {
  if (batch > samples) throw new ForerunError("E_OPTION", `a batch of ${batch} needs as many samples, found ${samples}`)
  const passes = Math.floor(samples / batch)
  let known: { epoch: number; order: Int32Array } | undefined
  return (pass) => {
    const epoch = Math.floor(pass / passes)
    if (known?.epoch !== epoch) known = { epoch, order: shuffled(samples, random.fork(epoch)) }
    const from = (pass % passes) * batch
    return Array.from(known.order.subarray(from, from + batch))
  }
}

/** Samples [from, to) of some data. */
export const part = (data: Data, from: number, to: number): Data => ({
  samples: to - from,
  batch: (indices, ...rest) =>
    data.batch(
      indices.map((index) => index + from),
      ...rest,
    ),
})

/** Windows of a long text, one after the other: `tokens` [batch, length] and `labels`, the same one place further, both int64. */
export function tokenWindows(text: Int32Array, length: number): Data {
  const samples = Math.floor((text.length - 1) / length)
  const rows = (indices: readonly number[], offset: number) => {
    const data = new BigInt64Array(indices.length * length)
    for (const [row, index] of indices.entries())
      for (let i = 0; i < length; i++) data[row * length + i] = BigInt(text[index * length + i + offset]!)
    return { type: "int64", shape: [indices.length, length], data } as const
  }
  return {
    samples,
    batch: (indices) => ({
      tensors: { tokens: rows(indices, 0), labels: rows(indices, 1) },
      tokens: indices.length * length,
    }),
  }
}
