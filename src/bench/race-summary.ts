/** Recorded races under every rule and for every number of lanes: accuracy and cost, with intervals over problems. */
import { anyCorrect, type Problem, replayProblem } from "../methods/first-finish/replay.ts"
import type { ChoiceRule } from "../methods/first-finish/vote.ts"
import { meanInterval } from "./statistics.ts"

type Mean = ReturnType<typeof meanInterval>

export interface RaceRow {
  /** first-k, last-1, majority; single is one lane. */
  readonly rule: string
  readonly lanes: number
  readonly accuracy: Mean
  readonly sequentialTokens: Mean
  readonly totalTokens: Mean
}

export interface RaceSummary {
  readonly problems: number
  /** Share of problems that any lane gets right. */
  readonly anyCorrect: number
  readonly rows: readonly RaceRow[]
}

/** Every problem with the same number of traces, at least one. Lanes: 1, 2, 4, 8, … and all. */
export function summariseRaces(problems: readonly Problem[]): RaceSummary {
  const all = problems[0]!.traces.length
  const sizes = [...new Set([1, 2, 4, 8, 16, all])].filter((size) => size <= all).sort((a, b) => a - b)
  const rows = sizes.flatMap((lanes) => rulesFor(lanes).map(([rule, choice]) => rowOf(problems, lanes, rule, choice)))
  return { problems: problems.length, anyCorrect: anyCorrect(problems), rows }
}

/** Finishes count whether or not they hold an answer: that is what a race can know. */
function rulesFor(lanes: number): [string, ChoiceRule][] {
  const first = (count: number): ChoiceRule => ({ keep: "first", count, requireAnswer: false })
  if (lanes === 1) return [["single", first(1)]]
  const three: [string, ChoiceRule][] = lanes > 3 ? [["first-3", first(3)]] : []
  return [
    ["first-1", first(1)],
    ...three,
    ["majority", first(lanes)],
    ["last-1", { keep: "last", count: 1, requireAnswer: false }],
  ]
}

function rowOf(problems: readonly Problem[], lanes: number, rule: string, choice: ChoiceRule): RaceRow {
  const expected = problems.map((problem) => replayProblem(problem, lanes, choice))
  const mean = (name: "accuracy" | "sequentialTokens" | "totalTokens") => meanInterval(expected.map((one) => one[name]))
  return {
    rule,
    lanes,
    accuracy: mean("accuracy"),
    sequentialTokens: mean("sequentialTokens"),
    totalTokens: mean("totalTokens"),
  }
}
