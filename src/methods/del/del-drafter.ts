/** Drafts from the exit that the shadow tokens of earlier rounds speak for, as long as it is sure; or not at all. */
import { emptyTree } from "../../decoding/candidate-tree.ts"
import { createExitDrafter } from "../../decoding/drafters/exit-drafter.ts"
import type { Context } from "../../decoding/method.ts"
import type { Draft, DraftedRound, Drafter, DraftState } from "../../decoding/speculate.ts"
import type { Matrix, ModelRunner } from "../../runtime/pass.ts"
import { argmax } from "../../tensor/math.ts"
import { acceptanceOf, type ExitRecord, emptyRecord, thresholdOf, updatedRecord } from "./exit-record.ts"
import { type ChosenPlan, choosePlan, type PlanCosts } from "./plan.ts"
import { createPromptTail } from "./prompt-tail.ts"
import { createShadowReader, type ShadowRows } from "./shadow-tokens.ts"

export interface DelParts {
  readonly target: ModelRunner
  readonly context: Pick<Context, "sampler" | "limits" | "signal">
  /** Layers that a draft may leave after, ascending. */
  readonly exits: readonly number[]
  readonly costs: PlanCosts
  /** What a round's evidence keeps of its weight in the next. */
  readonly omega: number
  /** Rows of the prompt's end that are evidence too. */
  readonly contextRows: number
  /** Drafting rounds from one with shadow tokens to the next. */
  readonly refresh: number
  /** Drafts as many tokens as planned (the paper's DELE), whatever the confidence. */
  readonly isPlanned: boolean
}

/** Longest draft while confidence decides. */
const mostDrafted = 18
/** Plain rounds until an exit is tried again, doubled each time up to the last. */
const probes = { first: 8, last: 128 }

export function createDelDrafter(parts: DelParts): Drafter {
  const { target, context, exits, costs, omega, contextRows, refresh, isPlanned } = parts
  const { layers } = target.config
  const records = new Map<number, ExitRecord>(exits.map((exit) => [exit, emptyRecord]))
  const shadows = createShadowReader(target, context.signal)
  const tail = createPromptTail(contextRows)
  const drafter = createExitDrafter({ target, context, exitLayer: () => plan.exit, watched: () => watched })
  let plan: ChosenPlan = { exit: exits[0]!, length: 1, gain: 1 }
  let isFirst = true
  /** Layers whose states this round's verification is to give. */
  let watched: readonly number[] = contextRows > 0 ? [...exits, layers] : []
  let unread: ShadowRows[] = []
  let [drafting, idle, wait] = [0, 0, probes.first]

  /** @returns whether it got through: not when the run was aborted */
  async function learn(): Promise<boolean> {
    const read = []
    for (const rows of unread) read.push(await shadows.read(rows))
    unread = []
    if (read.includes(undefined)) return false
    for (const [exit, record] of records) {
      const round = read.flatMap((tokens) => tokens?.get(exit) ?? [])
      if (round.length > 0) records.set(exit, updatedRecord(record, round, omega))
    }
    return true
  }

  function choose(): void {
    plan = choosePlan(new Map(exits.map((exit) => [exit, acceptanceOf(records.get(exit)!)])), costs)
    if (plan.length > 0) {
      watched = drafting++ % refresh === 0 ? exits : []
      ;[idle, wait] = [0, probes.first]
      return
    }
    const isProbe = ++idle >= wait
    watched = isProbe ? exits : []
    if (isProbe) [idle, wait] = [0, Math.min(probes.last, 2 * wait)]
  }

  async function propose(state: DraftState): Promise<Draft> {
    if (isFirst) {
      const rows = tail.rows()
      if (rows) unread.push(rows)
      watched = exits
    } else {
      if (!(await learn()) || context.signal.aborted) return { tree: emptyTree }
      choose()
    }
    if (plan.length === 0) return { tree: emptyTree, decision: { from: [], why: "not-worth-its-rows" } }
    const threshold = isFirst || isPlanned ? undefined : thresholdOf(records.get(plan.exit)!)
    const cap = isFirst ? 1 : isPlanned ? plan.length : threshold === undefined ? plan.length + 2 : mostDrafted
    isFirst = false
    const draft = await drafter.propose({
      ...state,
      room: { ...state.room, depth: Math.min(cap, state.room.depth) },
      goesOn: (drafted) => state.goesOn(drafted) && (threshold === undefined || drafted.confidence() >= threshold),
    })
    return { ...draft, decision: { from: [`layer ${plan.exit}`], why: "worth-its-rows" } }
  }

  /** The rows that were kept are those whose past turned out right: up to the first mismatch, that row included. */
  function observe({ hidden, logits, kept }: DraftedRound): void {
    if (watched.length === 0) return
    const first = (matrix: Matrix) => matrix.data.slice(0, kept.length * matrix.columns)
    const states = new Map(watched.map((layer) => [layer, first(hidden.get(layer)!)]))
    const targets = kept.map((row) => argmax(logits.data.subarray(row * logits.columns, (row + 1) * logits.columns)))
    unread.push({ states, targets })
  }

  return {
    get wantHidden() {
      return watched
    },
    read: (_, { hidden }) => tail.push(hidden),
    propose,
    verify: drafter.verify,
    observe,
    dispose: shadows.dispose,
  }
}
