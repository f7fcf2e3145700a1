/** The fused form: verification in spans of layers, joined by every row's pseudo rows where they begin. */
import type { HostCache } from "../../runtime/kv-cache.ts"
import type { ForwardPass, ForwardResult, Matrix, ModelRunner } from "../../runtime/pass.ts"
import { concatenate } from "../../tensor/concatenate.ts"
import { chainParents, maskWithPseudo, positionsWithPseudo, type RealRows } from "./pseudo-rows.ts"
import type { TransferPart } from "./transfer-part.ts"

export interface FusedPass {
  /** Stands in for the target's own pass over the real rows: the same bits, and pseudo rows beside. */
  verify(pass: ForwardPass): Promise<ForwardResult | undefined>
  /** Final states of the pseudo rows of one of the rows of the last pass [steps · hidden]; undefined: it had none. */
  finalStates(row: number): Float32Array | undefined
}

export interface FusedParts {
  readonly target: ModelRunner
  readonly part: Pick<TransferPart, "stops" | "steps" | "pseudoRows">
  readonly signal: AbortSignal
}

export function createFusedPass({ target, part, signal }: FusedParts): FusedPass {
  const { hidden: width, layers: depth, context } = target.config
  const { stops, steps } = part
  /** After the final norm: real rows, then pseudo rows [rows · (1 + steps), hidden]. */
  let last: Matrix | undefined

  async function verify(pass: ForwardPass): Promise<ForwardResult | undefined> {
    const real = realRows(pass)
    const rows = real.positions.length
    last = undefined
    if (real.past + rows * (1 + steps) > context || Math.max(...real.positions) + steps >= context)
      return target.forward(pass)
    const first = stops[0]!.layer
    const spans = [await target.forward({ ...pass, layers: [0, first], want: { hidden: [first] } })]
    let states = spans[0]!.hidden.get(first)!.data
    const hidden = new Map<number | "final", Matrix>()
    for (const stop of stops) {
      const reals = states.subarray(0, rows * width)
      hidden.set(stop.layer, { data: reals, rows, columns: width })
      states = concatenate([states, await part.pseudoRows(stop, reals)], Float32Array)
      if (signal.aborted) return undefined
      const begun = stop.before + stop.count
      const end = stop.next === depth ? "final" : stop.next
      const span = await target.forward({
        input: { hidden: states },
        ...(pass.cache ? { cache: pass.cache } : {}),
        positions: positionsWithPseudo(real, begun),
        mask: maskWithPseudo(real, begun),
        layers: [stop.layer, stop.next],
        want: { hidden: [end], logits: end === "final" ? Array.from({ length: rows }, (_, row) => row) : "none" },
      })
      spans.push(span)
      states = span.hidden.get(end)!.data
    }
    last = { data: states, rows, columns: width }
    const { logits } = spans.at(-1)!
    return {
      ...(logits ? { logits } : {}),
      hidden,
      keep(kept) {
        for (const span of spans) span.keep(kept) // real rows come first in each
      },
    }
  }

  return {
    verify,
    finalStates(row) {
      if (!last) return undefined
      const { data, rows, columns } = last
      const ofStep = (step: number) => data.subarray((step * rows + row) * columns, (step * rows + row + 1) * columns)
      return concatenate(
        Array.from({ length: steps }, (_, i) => ofStep(i + 1)),
        Float32Array,
      )
    },
  }
}

/** Of a verification pass: a tree, or a line. */
function realRows({ input, positions, mask, cache }: ForwardPass): RealRows {
  const rows = "tokens" in input ? input.tokens.length : 0
  const past = (cache as HostCache | undefined)?.length ?? 0
  const tree = typeof mask === "object" && "parents" in mask ? mask.parents : chainParents(rows)
  return { past, positions: positions ?? Int32Array.from({ length: rows }, (_, i) => past + i), parents: tree }
}
