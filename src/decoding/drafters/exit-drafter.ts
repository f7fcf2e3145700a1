/** Drafts a line with the first layers of the target; verification goes on from where they stopped, never over them again. */
import { ForerunError } from "../../base/errors.ts"
import type { ForwardPass, ForwardResult, Matrix, ModelRunner } from "../../runtime/pass.ts"
import { concatenate } from "../../tensor/concatenate.ts"
import { logSumExp } from "../../tensor/math.ts"
import { chainOf, emptyTree } from "../candidate-tree.ts"
import { mostLikely } from "../law.ts"
import type { Context } from "../method.ts"
import type { Draft, Drafter, DraftState } from "../speculate.ts"

export interface ExitDrafterParts {
  readonly target: ModelRunner
  readonly context: Pick<Context, "sampler" | "limits" | "signal">
  /** The layer after which the next draft leaves, from 1 to the last but one. Asked once for each draft. */
  readonly exitLayer: () => number
  /** Layers whose hidden states whoever reads the verification wants as well. Default: none. */
  readonly watched?: () => readonly number[]
}

/** Rows that went through the first layers in this round: the pending token's, then those of the draft. */
interface LowerRows {
  readonly exit: number
  readonly tokens: number[]
  /** By layer, the hidden states of each row. */
  readonly states: Map<number, Float32Array[]>
}

/**
 * The first layers run ahead in the run's own cache, which `keep` brings to one length again: a fork would have to be
 * copied back.
 */
export function createExitDrafter(parts: ExitDrafterParts): Required<Pick<Drafter, "propose" | "verify">> {
  const { target, context } = parts
  const { sampler, limits, signal } = context
  let lower: LowerRows | undefined

  async function propose({ tokens, history, cache, room, goesOn }: DraftState): Promise<Draft> {
    const exit = parts.exitLayer()
    const below = (parts.watched?.() ?? []).filter((layer) => layer < exit)
    const rows: LowerRows = { exit, tokens: [], states: new Map([...below, exit].map((layer) => [layer, []])) }
    const run = async (token: number, isLast: boolean) => {
      const pass = await target.forward({
        input: { tokens: Int32Array.of(token) },
        cache,
        layers: [0, exit],
        want: { logits: isLast ? "none" : "last", hidden: [...rows.states.keys()] },
      })
      pass.keep([0])
      rows.tokens.push(token)
      for (const [layer, states] of rows.states) states.push(pass.hidden.get(layer)!.data)
      return pass.logits?.data
    }
    const committed = history.length
    const drafted: number[] = []
    let logits = await run(tokens.at(-1)!, false)
    while (logits && !signal.aborted) {
      const row = logits
      const token = mostLikely(sampler.law(row, history))
      drafted.push(token)
      history.push(token)
      const confidence = () => Math.exp(row[token]! - logSumExp(row))
      const isLast =
        drafted.length === room.depth ||
        limits.stopIds.has(token) ||
        !goesOn({ count: drafted.length, confidence, hidden: rows.states.get(exit)!.at(-1)! })
      // The last token drafted has to pass these layers too: here, so that nothing but one pass is left to verify.
      logits = await run(token, isLast)
    }
    history.rewind(committed)
    lower = rows
    return { tree: drafted.length === 0 ? emptyTree : chainOf(drafted) }
  }

  async function verify(pass: ForwardPass): Promise<ForwardResult> {
    const before = lower
    lower = undefined
    if (!before) return target.forward(pass)
    const { exit } = before
    const count = rowsTaken(pass, before)
    const wanted = pass.want?.hidden ?? []
    const upper = await target.forward({
      ...pass,
      input: { hidden: stacked(before.states.get(exit)!, count).data },
      layers: [exit, target.config.layers],
      want: { ...pass.want, hidden: wanted.filter((layer) => layer === "final" || layer > exit) },
    })
    const own = wanted.flatMap((layer) => (typeof layer === "number" && layer <= exit ? [layer] : []))
    return {
      ...upper,
      hidden: new Map<number | "final", Matrix>([
        ...own.map((layer) => [layer, stacked(before.states.get(layer)!, count)] as const),
        ...upper.hidden,
      ]),
      keep(rows) {
        if (rows.some((row, i) => row !== i)) throw new ForerunError("E_INTERNAL", "a line is kept from its beginning")
        upper.keep(rows)
        pass.cache!.rewind(pass.cache!.length) // the first layers hold refused rows too
      },
    }
  }
  return { propose, verify }
}

/** How many of the rows the pass takes. It may take fewer: a line can be cut short. */
function rowsTaken({ input, mask }: ForwardPass, { tokens }: LowerRows): number {
  const wanted = "tokens" in input ? [...input.tokens] : []
  const isPrefix = wanted.length <= tokens.length && wanted.every((token, row) => token === tokens[row])
  if (mask === undefined && isPrefix) return wanted.length
  throw new ForerunError("E_INTERNAL", "the first layers have run on other rows than those to be verified")
}

function stacked(states: readonly Float32Array[], count: number): Matrix {
  return { data: concatenate(states.slice(0, count), Float32Array), rows: count, columns: states[0]!.length }
}
