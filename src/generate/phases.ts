/** Where the time of a method that drafts and verifies went, from what was counted where the passes ran. */
import type { Ledger, LedgerTotals, Span } from "../runtime/ledger.ts"
import type { GenerateResult } from "./types.ts"

type Phases = Required<Pick<GenerateResult["timings"], "draftMs" | "transferMs" | "targetMs">>

/** @param drafted of each ledger that drafts are counted in */
export function phasesOf(drafted: readonly LedgerTotals[], target: LedgerTotals): Phases {
  const sum = (key: "milliseconds" | "transferMilliseconds") => drafted.reduce((all, totals) => all + totals[key], 0)
  return { draftMs: sum("milliseconds"), transferMs: sum("transferMilliseconds"), targetMs: target.milliseconds }
}

/** A pass of an answer; `begin` and `end` in milliseconds since the answer was asked for. */
export interface TimelineSpan extends Span {
  readonly role: "target" | "draft"
}

/** The passes since `begin`, as they began. Of drafts, those for answers beside it too: they share their ledgers. */
export function timelineOf(begin: number, target: Ledger, drafts: readonly Ledger[]): TimelineSpan[] {
  const spans = (role: TimelineSpan["role"], ledger: Ledger) =>
    ledger.spansSince(begin).map((span) => ({ ...span, role, begin: span.begin - begin, end: span.end - begin }))
  return [...spans("target", target), ...drafts.flatMap((ledger) => spans("draft", ledger))].sort(
    (a, b) => a.begin - b.begin,
  )
}
