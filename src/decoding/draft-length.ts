/** Policies for how far to draft ahead. Each is made for one run; what they decide by are the pure functions below. */

import { ForerunError } from "../base/errors.ts"
import { type DraftBudget, fixedBudget } from "./draft-budget.ts"
import type { OptionTable } from "./method.ts"

export const draftLengthPolicies = ["fixed", "heuristic", "confidence", "cumulative", "closed-form", "ema"] as const
export type DraftLengthPolicy = (typeof draftLengthPolicies)[number]

export interface DraftLengthOptions {
  /** Longest draft, and the length of `fixed`. */
  readonly most: number
  /** What `confidence` and `cumulative` stop below. */
  readonly threshold: number
  /** What a draft pass costs, in passes of the target: for `closed-form`. */
  readonly cost: number
}

/** @throws E_OPTION on a name that is no policy's */
export function createDraftLength(policy: string, options: DraftLengthOptions): DraftBudget {
  const create = Object.hasOwn(policies, policy) ? policies[policy as DraftLengthPolicy] : undefined
  if (!create) throw new ForerunError("E_OPTION", `there is no draft length policy "${policy}"`)
  return create(options)
}

const policies: Readonly<Record<DraftLengthPolicy, (options: DraftLengthOptions) => DraftBudget>> = {
  fixed: ({ most }) => fixedBudget(most),

  /** The default of transformers' assisted generation. */
  heuristic({ most }) {
    let length = Math.min(5, most)
    return {
      next: () => line(length),
      observe({ depth, accepted }) {
        if (depth > 0) length = heuristicLength(length, accepted === depth, most)
      },
    }
  },

  /** transformers' assistant_confidence_threshold: the token below it still stays. */
  confidence: ({ most, threshold }) => ({
    next: () => line(most),
    goesOn: (drafted) => drafted.confidence() >= threshold,
  }),

  cumulative({ most, threshold }) {
    let product = 1
    return {
      next() {
        product = 1
        return line(most)
      },
      goesOn(drafted) {
        product *= drafted.confidence()
        return product >= threshold
      },
    }
  },

  /** Leviathan et al. 2023, §3.3, from the acceptance so far. */
  "closed-form"({ most, cost }) {
    let acceptance = { accepted: 1, tried: 2 } // a half, worth two tokens of evidence
    let rest = 0 // rounds without a draft
    return {
      next() {
        const length = bestLength(acceptance.accepted / acceptance.tried, cost, most)
        if (length > 0) return line(length)
        // Off, but not for ever: one token now and then shows whether the text has changed.
        rest = (rest + 1) % probeEvery
        return line(rest === 0 ? 1 : 0)
      },
      observe({ depth, accepted }) {
        acceptance = updatedAcceptance(acceptance, depth, accepted)
      },
    }
  },

  /** SGLang's adaptive tiers, without the tiers: as long as drafts are accepted on average, plus one. */
  ema({ most }) {
    let [average, rounds, length] = [0, 0, Math.min(3, most)]
    return {
      next: () => line(length),
      observe({ depth, accepted }) {
        if (depth === 0) return
        average = rounds++ === 0 ? accepted : average + smoothing * (accepted - average)
        if (rounds >= warmUp && rounds % interval === 0) length = smoothedLength(average, length, most)
      },
    }
  },
}

const line = (length: number) => ({ nodes: length, depth: length })

const probeEvery = 16
/** Weight of evidence after each further round: about the last forty rounds count. */
const memory = 0.95
const smoothing = 0.2
const warmUp = 10
const interval = 5
/** The average must fall this far below the next shorter length's before that is taken. */
const reluctance = 0.25

/** Two more after a draft that was accepted whole, else one less. */
export const heuristicLength = (length: number, isWhole: boolean, most: number): number =>
  isWhole ? Math.min(most, length + 2) : Math.max(1, length - 1)

/**
 * Tokens for the cost of one plain pass, when each drafted token is accepted with the same probability:
 * (1 - a^(K+1)) / ((1 - a) (cK + 1)).
 */
export function expectedSpeedup(acceptance: number, cost: number, length: number): number {
  let tokens = 0
  for (let i = 0, share = 1; i <= length; i++, share *= acceptance) tokens += share
  return tokens / (cost * length + 1)
}

/** The length of the highest expected speedup, from 0 to `most`; the shorter one on a tie. */
export function bestLength(acceptance: number, cost: number, most: number): number {
  let best = 0
  for (let length = 1; length <= most; length++)
    if (expectedSpeedup(acceptance, cost, length) > expectedSpeedup(acceptance, cost, best)) best = length
  return best
}

/** The accepted tokens and the one refused are evidence; what came behind it was never tried. */
export function updatedAcceptance(
  { accepted, tried }: { readonly accepted: number; readonly tried: number },
  depth: number,
  taken: number,
): { accepted: number; tried: number } {
  if (depth === 0) return { accepted, tried }
  return { accepted: memory * accepted + taken, tried: memory * tried + taken + (taken < depth ? 1 : 0) }
}

export function smoothedLength(average: number, length: number, most: number): number {
  const up = clamp(Math.round(average) + 1, most)
  const down = clamp(Math.round(average + reluctance) + 1, most)
  if (up > length) return up
  return Math.min(down, length)
}

const clamp = (length: number, most: number): number => Math.max(1, Math.min(most, length))

/** The options of a method whose draft length follows a policy; the defaults differ. */
export const draftLengthOptions = (defaults: { readonly policy: string; readonly cost: number }): OptionTable => ({
  draftLength: { type: "integer", default: 5, low: 1, high: 127, description: "longest draft in tokens" },
  policy: {
    type: "string",
    default: defaults.policy,
    choices: draftLengthPolicies,
    description: "what decides how long a draft gets",
  },
  threshold: {
    type: "number",
    default: 0.4,
    low: 0,
    high: 1,
    description: "confidence below which the policies confidence and cumulative stop drafting",
  },
  cost: {
    type: "number",
    default: defaults.cost,
    low: 0,
    high: 10,
    description: "what a draft pass costs in passes of the target, for the policy closed-form",
  },
})
