/** Rules for when a draft ends, beside every fixed length: counts, differences and what they would gain. Pure. */
import { type DraftBudget, fixedBudget } from "../decoding/draft-budget.ts"
import { createDraftLength, type DraftLengthPolicy } from "../decoding/draft-length.ts"
import type { HeadRow } from "../methods/specdec-plus-plus/labels.ts"
import { survivalBudget } from "../methods/specdec-plus-plus/stop-policy.ts"
import { foreseen } from "./draft-lines.ts"
import {
  costPerToken,
  type DraftedAnswer,
  discardRate,
  type ReplayCounts,
  replay,
  verificationRate,
} from "./draft-replay.ts"
import { middle95, type Pooled, pooledRatio, redrawn } from "./statistics.ts"

export interface StopPolicy {
  /** "fixed", "head", and rules that need no training. */
  readonly family: "fixed" | "head" | DraftLengthPolicy
  /** The length, or the threshold. */
  readonly setting: number
  create(): DraftBudget
}

export interface Judge {
  /** Probability that the target takes the token that this row judges. */
  accepts(hidden: Float32Array): number
  readonly row: HeadRow
}

/** Even steps, and near 1 ever finer ones: where refusals weighed more in training, the head says them likelier than they are. */
const thresholds = [
  ...Array.from({ length: 20 }, (_, i) => i / 20),
  ...[0.97, 0.98, 0.99, 0.995, 0.998, 0.999, 0.9995, 0.9998, 0.9999, 0.99999, 1],
]

/** Every fixed length, the head at every threshold, and rules on the draft model's own confidence. */
export function stopPolicies({ accepts, row }: Judge, longest: number): StopPolicy[] {
  const head = { accepts: remembered(accepts) }
  const lengths = Array.from({ length: longest }, (_, i): StopPolicy => {
    const create = () => fixedBudget(i + 1)
    return { family: "fixed", setting: i + 1, create }
  })
  // Where the row that reads a token judges it, lengths of 1 and 2 at least are the same rule.
  const heads = thresholds.map((threshold): StopPolicy => {
    const create = () => survivalBudget(head, { threshold, shortest: 1, longest, row })
    return { family: "head", setting: threshold, create }
  })
  const named = (family: DraftLengthPolicy, threshold: number): StopPolicy => {
    const create = () => createDraftLength(family, { most: longest, threshold, cost: 0.1 })
    return { family, setting: threshold, create }
  }
  const confidences = thresholds.flatMap((one) => [named("confidence", one), named("cumulative", one)])
  return [...lengths, ...heads, ...confidences, named("heuristic", 0)]
}

function remembered(accepts: Judge["accepts"]): Judge["accepts"] {
  const known = new WeakMap<Float32Array, number>()
  return (hidden) => {
    const value = known.get(hidden) ?? accepts(hidden)
    known.set(hidden, value)
    return value
  }
}

export interface StopRow {
  /** "oracle": drafts what is right, and nothing else. */
  readonly family: StopPolicy["family"] | "oracle"
  readonly setting: number
  /** v and d: passes of the target, and discarded drafts, for each token. */
  readonly verified: number
  readonly discarded: number
}

/** The head beside one fixed length, where both verify equally often. */
export interface AgainstFixed extends Pick<StopRow, "verified" | "discarded"> {
  readonly length: number
  /** Where no threshold makes the head verify so often, there is nothing to compare. */
  readonly head?: {
    /** d at the same v, taking turns with the two thresholds next to it. */
    readonly discarded: number
    /** How much less than the fixed length's; 95 % over answers, which are drawn again with the whole curve. */
    readonly less: Pooled
  }
}

/** Cost of a token under the best fixed length over that under another rule, each chosen on the other half; 95 % over answers. */
export interface StopGain {
  /** c: a pass of the draft model in passes of the target. */
  readonly cost: number
  readonly family: StopRow["family"]
  /** Of the one half and the other; none for the oracle. */
  readonly settings: readonly number[]
  readonly lengths: readonly number[]
  readonly gain: Pooled
}

export interface StopComparison {
  readonly rows: readonly StopRow[]
  readonly against: readonly AgainstFixed[]
  readonly gains: readonly StopGain[]
}

export const draftCosts = [0.05, 0.1, 0.2]

/** @param answers two at least: one half chooses for the other */
export function compareStops(answers: readonly DraftedAnswer[], policies: readonly StopPolicy[]): StopComparison {
  const counts = policies.map(({ create }) => answers.map((answer) => replay([answer], create)))
  const oracle = answers.map((answer) => replay([foreseen(answer)], () => fixedBudget(Number.POSITIVE_INFINITY)))
  const of = (family: StopPolicy["family"]) => policies.flatMap((policy, i) => (policy.family === family ? [i] : []))
  const families = [...new Set(policies.map(({ family }) => family))].filter((family) => family !== "fixed")
  const row = (family: StopRow["family"], setting: number, each: readonly ReplayCounts[]) =>
    ({ family, setting, ...rates(each) }) satisfies StopRow
  /** For each answer the counts of the policy that costs least on the other half. */
  const cheapest = (candidates: readonly number[], cost: number) => {
    const chosen = [0, 1].map((half) => {
      const others = (policy: number) => pool(counts[policy]!.filter((_, i) => i % 2 !== half))
      const prices = candidates.map((policy) => costPerToken(others(policy), cost))
      return candidates[prices.indexOf(Math.min(...prices))]!
    })
    return { chosen, counts: answers.map((_, i) => counts[chosen[i % 2]!]![i]!) }
  }

  const take = (indices: readonly number[]) => indices.map((i) => counts[i]!)
  const against = atSameRate(take(of("head")), take(of("fixed"))).map((head, i): AgainstFixed => {
    const fixed = of("fixed")[i]!
    return { length: policies[fixed]!.setting, ...rates(counts[fixed]!), ...(head ? { head } : {}) }
  })

  const gains = draftCosts.flatMap((cost) => {
    const price = (one: ReplayCounts) => costPerToken(one, cost) * one.tokens
    const fixed = cheapest(of("fixed"), cost)
    const lengths = fixed.chosen.map((policy) => policies[policy]!.setting)
    const gainOf = (
      family: StopRow["family"],
      settings: readonly number[],
      each: readonly ReplayCounts[],
    ): StopGain => {
      const gain = pooledRatio(each.map((one, i) => [price(fixed.counts[i]!), price(one)]))
      return { cost, family, settings, lengths, gain }
    }
    return [
      ...families.map((family) => {
        const { chosen, counts: each } = cheapest(of(family), cost)
        const settings = chosen.map((policy) => policies[policy]!.setting)
        return gainOf(family, settings, each)
      }),
      gainOf("oracle", [], oracle),
    ]
  })
  const rows = policies.map(({ family, setting }, i) => row(family, setting, counts[i]!))
  return { rows: [...rows, row("oracle", 0, oracle)], against, gains }
}

function pool(counts: readonly ReplayCounts[]): ReplayCounts {
  const all = { tokens: 0, rounds: 0, drafted: 0, discarded: 0 }
  for (const { tokens, rounds, drafted, discarded } of counts) {
    all.tokens += tokens
    all.rounds += rounds
    all.drafted += drafted
    all.discarded += discarded
  }
  return all
}

type Rates = Pick<StopRow, "verified" | "discarded">

function rates(counts: readonly ReplayCounts[]): Rates {
  const all = pool(counts)
  return { verified: verificationRate(all), discarded: discardRate(all) }
}

/**
 * What the head discards where it verifies as often as each fixed length.
 * @param heads by threshold, ascending; then by answer. @param lengths by length, then by answer
 */
function atSameRate(
  heads: readonly (readonly ReplayCounts[])[],
  lengths: readonly (readonly ReplayCounts[])[],
): AgainstFixed["head"][] {
  const saved = (drawn: readonly number[]): (number | undefined)[] => {
    const of = (counts: readonly ReplayCounts[]) => rates(drawn.map((i) => counts[i]!))
    const curve = heads.map(of)
    return lengths.map((fixed) => {
      const { verified, discarded } = of(fixed)
      const there = discardedAt(curve, verified)
      return there === undefined ? undefined : discarded - there
    })
  }
  const count = lengths[0]!.length
  const draws = redrawn(count, saved)
  return saved(Array.from({ length: count }, (_, i) => i)).map((value, k) => {
    if (value === undefined) return undefined
    const { low, high } = middle95(draws.map((drawn) => drawn[k] ?? Number.NaN))
    return { discarded: rates(lengths[k]!).discarded - value, less: { value, low, high } }
  })
}

/** Least d of a point that verifies no oftener than this, or of one between two neighbours. */
function discardedAt(curve: readonly Rates[], verified: number): number | undefined {
  if (curve[0]!.verified < verified) return undefined // even the lowest threshold drafts more
  const found = curve.flatMap((point, i) => {
    if (point.verified <= verified) return [point.discarded]
    const next = curve[i + 1]
    if (!next || next.verified >= verified) return []
    const share = (point.verified - verified) / (point.verified - next.verified)
    return [point.discarded + share * (next.discarded - point.discarded)]
  })
  return found.length > 0 ? Math.min(...found) : undefined
}
