/** Recorded races under every rule and for every number of lanes: accuracy and cost, with intervals over problems. */
import { anyCorrect, type Problem, replayProblem } from "../methods/first-finish/replay.ts"
import type { ChoiceRule } from "../methods/first-finish/vote.ts"
import { meanInterval, pooledRatio, type Share, shareInterval } from "./statistics.ts"

type Mean = ReturnType<typeof meanInterval>

export interface RaceRow {
  /**
   * first-k, last-1, majority; single is one lane. Short answers often end together, and a vote among those gains something
   * by itself: one rule hears the lowest lane only.
   */
  readonly rule: string
  readonly lanes: number
  /** Its interval is the bootstrap's, over problems. */
  readonly accuracy: Mean
  /** Accuracy above that of one lane, problem by problem; absent for one lane itself and in older records. */
  readonly gain?: Mean
  readonly sequentialTokens: Mean
  readonly totalTokens: Mean
}

/**
 * Whether right answers are shorter within a problem, which is all that a race lives from: over all problems together they
 * are shorter already where hard problems are long.
 */
export interface LengthSigns {
  /** Problems with right and wrong traces. */
  readonly mixed: number
  /** Of those whose right and wrong traces differ in mean length: where the right ones are shorter. */
  readonly rightShorter: Share
  /**
   * Mean over problems with right and wrong traces of the correlation of length and being right. Where length says nothing
   * it is 0 on average; the share above need not be one half then, since few lengths have another mean than many.
   */
  readonly correlation: Mean
}

export interface RaceSummary {
  readonly problems: number
  /** Share of problems that any lane gets right. */
  readonly anyCorrect: number
  readonly rows: readonly RaceRow[]
  /** Absent in older records. */
  readonly lengths?: LengthSigns
}

/** Every problem with the same number of traces, at least one. Lanes: 1, 2, 4, 8, … and all. */
export function summariseRaces(problems: readonly Problem[]): RaceSummary {
  const all = problems[0]!.traces.length
  const sizes = [...new Set([1, 2, 4, 8, 16, all])].filter((size) => size <= all).sort((a, b) => a - b)
  const single = problems.map((problem) => replayProblem(problem, 1, firstOf(1)).accuracy)
  const rows = sizes.flatMap((lanes) =>
    rulesFor(lanes).map(([rule, choice]) => rowOf(problems, single, { rule, lanes, choice })),
  )
  return { problems: problems.length, anyCorrect: anyCorrect(problems), rows, lengths: lengthSigns(problems) }
}

/** Finishes count whether or not they hold an answer: that is what a race can know. */
const firstOf = (count: number): ChoiceRule => ({ keep: "first", count, requireAnswer: false })

function rulesFor(lanes: number): [string, ChoiceRule][] {
  if (lanes === 1) return [["single", firstOf(1)]]
  const three: [string, ChoiceRule][] = lanes > 3 ? [["first-3", firstOf(3)]] : []
  return [
    ["first-1", firstOf(1)],
    ["first-1, no vote on ties", { ...firstOf(1), ties: "lowest" }],
    ...three,
    ["majority", firstOf(lanes)],
    ["last-1", { keep: "last", count: 1, requireAnswer: false }],
  ]
}

interface Asked {
  readonly rule: string
  readonly lanes: number
  readonly choice: ChoiceRule
}

/** @param single accuracy of one lane, by problem */
function rowOf(problems: readonly Problem[], single: readonly number[], { rule, lanes, choice }: Asked): RaceRow {
  const expected = problems.map((problem) => replayProblem(problem, lanes, choice))
  const mean = (name: "sequentialTokens" | "totalTokens") => meanInterval(expected.map((one) => one[name]))
  return {
    rule,
    lanes,
    accuracy: bootstrapped(expected.map(({ accuracy }) => accuracy)),
    ...(lanes === 1 ? {} : { gain: bootstrapped(expected.map(({ accuracy }, i) => accuracy - single[i]!)) }),
    sequentialTokens: mean("sequentialTokens"),
    totalTokens: mean("totalTokens"),
  }
}

/** Many of these values are 0 or 1: an interval by the normal law would leave their range. */
function bootstrapped(values: readonly number[]): Mean {
  const { value: mean, low, high } = pooledRatio(values.map((value) => [value, 1]))
  return { mean, low, high }
}

/** Traces that were cut off count as wrong ones of their length. */
function lengthSigns(problems: readonly Problem[]): LengthSigns {
  const mixed = problems.flatMap(({ gold, traces }) => {
    const rights = traces.map(({ answer }) => (answer === gold ? 1 : 0))
    const share = meanOf(rights)
    if (share === 0 || share === 1) return []
    const lengths = traces.map(({ length }) => length)
    const covariance = meanOf(lengths.map((length, i) => length * rights[i]!)) - meanOf(lengths) * share
    const deviation = Math.sqrt(meanOf(lengths.map((length) => (length - meanOf(lengths)) ** 2)))
    const correlation = deviation === 0 ? 0 : covariance / (deviation * Math.sqrt(share * (1 - share)))
    return [correlation]
  })
  const decided = mixed.filter((correlation) => Math.abs(correlation) > 1e-9)
  const shorter = decided.filter((correlation) => correlation < 0).length
  return {
    mixed: mixed.length,
    rightShorter: shareInterval(shorter, decided.length),
    correlation: bootstrapped(mixed),
  }
}

const meanOf = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length
