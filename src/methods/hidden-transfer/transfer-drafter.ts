/** The drafter: pseudo rows of the last cached token, in a pass of their own (lazy) or in the verification pass (fused). */
import { emptyTree } from "../../decoding/candidate-tree.ts"
import { sparseTree } from "../../decoding/sparse-tree.ts"
import type { Draft, Drafter, DraftState } from "../../decoding/speculate.ts"
import type { KvCache } from "../../runtime/kv-cache.ts"
import type { ForwardResult, ModelRunner } from "../../runtime/pass.ts"
import { concatenate } from "../../tensor/concatenate.ts"
import { createFusedPass } from "./fused-pass.ts"
import type { TransferPart } from "./transfer-part.ts"

export interface TransferDrafterOptions {
  readonly target: ModelRunner
  readonly part: TransferPart
  readonly form: "lazy" | "fused"
  /** Guesses of a step that may be in a draft; 1: a line. */
  readonly ranks: number
  /** How many nodes a draft gets, of such worths (descending). */
  size(worths: readonly number[]): number
  readonly signal: AbortSignal
}

/** States of one real row after the layer of each stop, in order: what its pseudo rows begin from. */
type Anchor = readonly Float32Array[]

export function createTransferDrafter(options: TransferDrafterOptions): Drafter {
  const { target, part, form, ranks: most, size, signal } = options
  const { stops } = part
  const { hidden, context } = target.config
  /** Of the last cached token. */
  let anchor: Anchor | undefined
  /** What the verification pass already made of it. */
  let ready: Float32Array | undefined
  const fused = form === "fused" ? createFusedPass({ target, part, signal }) : undefined

  const anchorAt = (states: ForwardResult["hidden"], row?: number): Anchor =>
    stops.map(({ layer }) => {
      const { data, rows } = states.get(layer)!
      const at = (row ?? rows - 1) * hidden
      return data.slice(at, at + hidden)
    })

  return {
    wantHidden: stops.map(({ layer }) => layer),
    read(_start, pass) {
      anchor = anchorAt(pass.hidden)
    },
    async propose({ cache, room }: DraftState): Promise<Draft> {
      const steps = Math.min(part.steps, room.depth, context - cache.length)
      const states = ready ?? (anchor && (await lazyStates(anchor, { target, part, cache, steps, signal })))
      if (!states) return { tree: emptyTree }
      const guesses = await part.guesses(states.subarray(0, steps * hidden))
      // This round's own chances, not average ones: a step that is sure of itself gets its depth.
      const { parents, depths, ranks, worths } = sparseTree(
        guesses.map(({ chances }) => chances.slice(0, most)),
        room.nodes,
      )
      const tokens = depths.map((depth, node) => guesses[depth]!.tokens[ranks[node]!]!)
      const count = size(worths)
      return { tree: { tokens: tokens.slice(0, count), parents: parents.slice(0, count) } }
    },
    observe({ hidden: states, kept }) {
      anchor = anchorAt(states, kept.at(-1)!)
      ready = fused?.finalStates(kept.at(-1)!)
    },
    ...(fused ? { verify: fused.verify } : {}),
  }
}

export interface LazyPass {
  readonly target: ModelRunner
  readonly part: Pick<TransferPart, "stops" | "pseudoRows">
  /** Read, never written. */
  readonly cache: KvCache
  /** At most the part's. */
  readonly steps: number
  readonly signal: AbortSignal
}

/**
 * Runs one anchor's pseudo rows through the layers that follow. They stand after the anchor in a line, and a line's own
 * order is what they may see. @returns final states [steps · hidden]; undefined: aborted
 */
export async function lazyStates(anchor: Anchor, pass: LazyPass): Promise<Float32Array | undefined> {
  const { target, part, cache, steps, signal } = pass
  const { layers, hidden } = target.config
  const stops = part.stops.filter(({ before }) => before < steps)
  let states = new Float32Array(0)
  for (const [i, stop] of stops.entries()) {
    const begun = await part.pseudoRows(stop, anchor[i]!)
    const rows = concatenate([states, begun], Float32Array).subarray(0, steps * hidden)
    if (signal.aborted) return undefined
    const next = stops[i + 1]?.layer ?? layers
    const end = next === layers ? "final" : next
    const span = { input: { hidden: rows }, cache, layers: [stop.layer, next], want: { hidden: [end] } } as const
    const found = (await target.forward(span)).hidden.get(end)!.data
    states = found as Float32Array<ArrayBuffer>
  }
  return states
}
