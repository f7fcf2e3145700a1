/** Where the time of a method that drafts and verifies went, from what was counted where the passes ran. */
import type { LedgerTotals } from "../runtime/ledger.ts"
import type { GenerateResult } from "./types.ts"

type Phases = Required<Pick<GenerateResult["timings"], "draftMs" | "transferMs" | "targetMs">>

/** @param drafted of each ledger that drafts are counted in */
export function phasesOf(drafted: readonly LedgerTotals[], target: LedgerTotals): Phases {
  const sum = (key: "milliseconds" | "transferMilliseconds") => drafted.reduce((all, totals) => all + totals[key], 0)
  return { draftMs: sum("milliseconds"), transferMs: sum("transferMilliseconds"), targetMs: target.milliseconds }
}
