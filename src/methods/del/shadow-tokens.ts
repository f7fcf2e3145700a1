/** What every exit would have said at some rows: their hidden states through the final norm and the head, in few passes. */
import type { KvCache } from "../../runtime/kv-cache.ts"
import type { ModelRunner } from "../../runtime/pass.ts"
import type { ShadowToken } from "./exit-record.ts"

/** Rows of the target at which exits are judged. */
export interface ShadowRows {
  /** By layer, hidden states [rows · hidden]. */
  readonly states: ReadonlyMap<number, Float32Array>
  /** What the whole model says after each row; undefined: its last layer's states are among `states`. */
  readonly targets: readonly number[] | undefined
}

export interface ShadowReader {
  /** By exit, a token for each row. undefined when `signal` was aborted before the end. */
  read(rows: ShadowRows): Promise<ReadonlyMap<number, readonly ShadowToken[]> | undefined>
  dispose(): void
}

/** Rows of one pass: it runs no layer, and a copy of their logits never leaves the backend. */
const mostRows = 128

export function createShadowReader(target: ModelRunner, signal: AbortSignal): ShadowReader {
  const { hidden: width, layers, context } = target.config
  let empty: KvCache | undefined // a pass without one would open its own

  async function said(states: Float32Array): Promise<Said[] | undefined> {
    const all: Said[] = []
    const size = Math.min(mostRows, context) * width
    empty ??= target.openCache()
    for (let start = 0; start < states.length; start += size) {
      if (signal.aborted) return undefined
      const { top } = await target.forward({
        input: { hidden: states.subarray(start, start + size) },
        cache: empty,
        layers: [layers, layers],
        want: { logits: "all", top: 1 },
      })
      for (let row = 0; row < top!.rows; row++)
        all.push({ token: top!.ids[row]!, confidence: Math.exp(top!.values[row]! - top!.logMasses[row]!) })
    }
    return all
  }

  return {
    async read({ states, targets }) {
      const order = [...states.keys()]
      const count = states.get(order[0]!)!.length / width
      if (count === 0) return new Map()
      const joined = new Float32Array(order.length * count * width)
      for (const [i, layer] of order.entries()) joined.set(states.get(layer)!, i * count * width)
      const all = await said(joined)
      if (!all) return undefined
      const at = (layer: number) => all.slice(order.indexOf(layer) * count, (order.indexOf(layer) + 1) * count)
      const right = targets ?? at(layers).map(({ token }) => token)
      const exits = order.filter((layer) => layer < layers)
      return new Map(exits.map((exit) => [exit, at(exit).map((one, row) => judged(one, right[row]!))]))
    },
    dispose: () => empty?.dispose(),
  }
}

interface Said {
  readonly token: number
  readonly confidence: number
}

const judged = ({ token, confidence }: Said, right: number): ShadowToken => ({ matches: token === right, confidence })
