/** Bit-for-bit comparison of everything a pass gives for a row: logits, hidden states, new cache rows. */
import type { HostCache } from "../../src/runtime/kv-cache.ts"
import type { Mask } from "../../src/runtime/mask.ts"
import type { SessionRunner } from "../../src/runtime/model-runner.ts"
import type { Want } from "../../src/runtime/pass.ts"
import { range, rowOf } from "./tiny-runner.ts"

/** What one row came out as. */
export interface RowBits {
  readonly logits: Float32Array
  /** Residual stream before every layer, after the last, and after the final norm, one after the other. */
  readonly states: Float32Array
  /** Keys and values of every layer. */
  readonly cached: Float32Array
}

const block = 128

/** Keys and values of one cached position in every layer, wherever they lie. */
export function cachedRow(cache: HostCache, position: number): Float32Array {
  const { layers, kvHeads, headSize } = cache.shape
  const out = new Float32Array(layers * 2 * kvHeads * headSize)
  let at = 0
  const full = cache.length - (cache.length % block)
  for (let index = 0; index < layers; index++) {
    const layer = cache.layer(index)
    for (const part of ["Keys", "Values"] as const)
      for (let head = 0; head < kvHeads; head++)
        for (let i = 0; i < headSize; i++) {
          if (position >= full) {
            out[at++] = layer[`tail${part}`][((position - full) * kvHeads + head) * headSize + i]!
            continue
          }
          const base = (Math.floor(position / block) * kvHeads + head) * headSize * block
          const inBlock = position % block
          out[at++] = layer[`block${part}`][base + (part === "Keys" ? i * block + inBlock : inBlock * headSize + i)]!
        }
  }
  return out
}

export interface RunOptions {
  readonly positions?: readonly number[]
  readonly mask?: Mask
  /** Rows to keep in the cache; default all. */
  readonly keep?: readonly number[]
}

/** Runs rows after what `cache` holds, keeps the chosen ones, and returns each row's bits. */
export async function runRows(
  runner: SessionRunner,
  cache: HostCache,
  tokens: readonly number[],
  options: RunOptions = {},
): Promise<RowBits[]> {
  const { hidden, vocabulary, layers } = runner.config
  const { mask } = options
  const past = cache.length
  const states = [...range(layers + 1), "final" as const]
  const pass = (into: HostCache, want: Want) =>
    runner.forward({
      input: { tokens: Int32Array.from(tokens) },
      cache: into,
      ...(options.positions ? { positions: Int32Array.from(options.positions) } : {}),
      ...(mask ? { mask } : {}),
      want,
    })
  // All rows go into a cache, from which their keys and values are read; the caller's own cache when it keeps them all.
  const all = options.keep ? cache.fork() : cache
  const result = await pass(all, { logits: "all", hidden: states })
  result.keep(range(tokens.length))
  const rows = tokens.map((_, row): RowBits => {
    const joined = new Float32Array(states.length * hidden)
    for (const [i, layer] of states.entries())
      joined.set(rowOf(result.hidden.get(layer)!.data, row, hidden), i * hidden)
    return { logits: rowOf(result.logits!.data, row, vocabulary), states: joined, cached: cachedRow(all, past + row) }
  })
  if (options.keep) {
    all.dispose()
    const again = await pass(cache, {})
    again.keep(options.keep)
  }
  return rows
}

/** The tokens one by one, each in a pass of its own. */
export async function oneByOne(runner: SessionRunner, cache: HostCache, tokens: readonly number[]): Promise<RowBits[]> {
  const rows: RowBits[] = []
  for (const token of tokens) rows.push(...(await runRows(runner, cache, [token])))
  return rows
}

/** Entries whose bits differ; a NaN counts as different from everything, or two broken runs would agree. */
export function differingBits(a: Float32Array, b: Float32Array): number {
  if (a.length !== b.length || a.length === 0) return Number.POSITIVE_INFINITY
  const [x, y] = [new Uint32Array(a.slice().buffer), new Uint32Array(b.slice().buffer)]
  let count = 0
  for (let i = 0; i < a.length; i++) if (x[i] !== y[i] || Number.isNaN(a[i]!)) count++
  return count
}

/** One line for each part of each row that differs, empty when all bits agree. */
export function differences(where: string, expected: readonly RowBits[], found: readonly RowBits[]): string[] {
  if (expected.length !== found.length) return [`${where}: ${found.length} rows instead of ${expected.length}`]
  return expected.flatMap((row, i) =>
    (["logits", "states", "cached"] as const).flatMap((part) => {
      const count = differingBits(row[part], found[i]![part])
      return count === 0 ? [] : [`${where}, row ${i}: ${count} of ${row[part].length} ${part} differ`]
    }),
  )
}
