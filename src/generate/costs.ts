/** What passes cost, as methods are told: from a measured curve if there is one, and from the passes seen so far. */
import type { Context } from "../decoding/method.ts"
import type { CostCurve } from "../runtime/cost-curve.ts"
import { estimateCost, relativePass, relativeTime } from "../runtime/cost-estimate.ts"
import { timedHeadCost } from "../runtime/head-cost.ts"
import type { Ledger } from "../runtime/ledger.ts"
import type { SessionRunner } from "../runtime/model-runner.ts"

export type Costs = Pick<Context, "cost" | "draftCost" | "headCost" | "partCost">

/** @param drafts a draft model, and the record of a trained part's passes, where there are such */
export function costsOf(
  target: SessionRunner,
  curve: CostCurve | undefined,
  drafts: { readonly model?: SessionRunner | undefined; readonly part?: Ledger | undefined },
): Costs {
  const times = ({ ledger, config }: SessionRunner) => ledger.times(config.layers)
  const found = {
    draftCost: drafts.model && relativeTime(times(drafts.model), times(target)),
    headCost: timedHeadCost(target.ledger),
    partCost: drafts.part && relativePass(drafts.part.spansSince(0), times(target)),
  }
  const known = Object.fromEntries(Object.entries(found).filter(([, cost]) => cost !== undefined))
  return { cost: estimateCost(curve, times(target)), ...known }
}
