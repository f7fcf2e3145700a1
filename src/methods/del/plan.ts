/** Which exit and how many tokens: DEL's tokens per layer, with the head and the rows at what they cost. Pure. */
import type { RowCost } from "../../runtime/cost-estimate.ts"

export interface ExitPlan {
  readonly exit: number
  /** 0: not to draft. */
  readonly length: number
}

export interface PlanCosts {
  readonly layers: number
  /** Final norm and head, in layers: every draft pays them, and so does verification. */
  readonly head: number
  /** Of the upper layers and the head over so many rows, relative to one. */
  readonly rows: RowCost
  /** Shadow tokens for so many committed tokens, in layers. */
  readonly shadows: (tokens: number) => number
}

/** As the paper counts: layers only, rows and heads for nothing. */
export const paperCosts = (layers: number): PlanCosts => ({ layers, head: 0, rows: () => 1, shadows: () => 0 })

/** Longest draft that is planned, plus one: the official range(18). */
const lengths = 18

/** 1 + α + … + α^length: tokens that a round commits. */
export function expectedTokens(acceptance: number, length: number): number {
  let [tokens, share] = [0, 1]
  for (let i = 0; i <= length; i++, share *= acceptance) tokens += share
  return tokens
}

/**
 * A round in layers: `length` drafts through `exit` layers and the head, the last one's first layers, then the rest and
 * the head over all rows. With the paper's costs length · exit + L.
 */
function roundCost({ exit, length }: ExitPlan, tokens: number, { layers, head, rows, shadows }: PlanCosts): number {
  if (length === 0) return layers + head
  return length * (exit + head) + exit + (layers - exit + head) * rows(length + 1) + shadows(tokens)
}

/** Tokens that a round commits over what it costs in layers. */
export function tokensPerLayer(acceptance: number, plan: ExitPlan, costs: PlanCosts): number {
  const tokens = expectedTokens(acceptance, plan.length)
  return tokens / roundCost(plan, tokens, costs)
}

export interface ChosenPlan extends ExitPlan {
  /** Expected speed beside plain decoding; 1 without a draft. */
  readonly gain: number
}

/**
 * The best exit and length; of equals the lower exit, then the shorter draft.
 * @param acceptances by exit, ascending; undefined: an exit that nothing is known of, which is never chosen
 */
export function choosePlan(acceptances: ReadonlyMap<number, number | undefined>, costs: PlanCosts): ChosenPlan {
  const plain = tokensPerLayer(0, { exit: 0, length: 0 }, costs)
  let best: ChosenPlan = { exit: acceptances.keys().next().value ?? 1, length: 0, gain: 1 }
  for (const [exit, acceptance] of acceptances) {
    if (acceptance === undefined) continue
    let [tokens, share] = [1, 1]
    for (let length = 1; length < lengths; length++) {
      share *= acceptance
      tokens += share
      const gain = tokens / roundCost({ exit, length }, tokens, costs) / plain
      if (gain > best.gain) best = { exit, length, gain }
    }
  }
  return best
}
