/** Recorded traces raced again: exact expectations over every subset of them, no model needed. Pure. */
import { ForerunError } from "../../base/errors.ts"
import { type ChoiceRule, choose, type Trace } from "./vote.ts"

/** Several independent answers to one problem. */
export interface Problem {
  readonly gold: string
  readonly traces: readonly Trace[]
}

export interface Expectation {
  /** Probability that the answer is right. */
  readonly accuracy: number
  readonly sequentialTokens: number
  readonly totalTokens: number
}

/**
 * Mean over problems of the mean over all subsets of `lanes` traces, taken in their order.
 * @throws E_INPUT when a problem has fewer traces, or a subset count nobody could wait for
 */
export function replay(problems: readonly Problem[], lanes: number, rule: ChoiceRule): Expectation {
  return mean(problems.map((problem) => replayProblem(problem, lanes, rule)))
}

export function replayProblem({ gold, traces }: Problem, lanes: number, rule: ChoiceRule): Expectation {
  if (!Number.isInteger(lanes) || lanes < 1 || lanes > traces.length)
    throw new ForerunError("E_INPUT", `${traces.length} traces hold no subsets of ${lanes}`)
  if (traces.length > 20)
    throw new ForerunError("E_INPUT", `subsets of ${traces.length} traces are too many; 20 at most`)
  const outcomes: Expectation[] = []
  for (const subset of subsets(traces, lanes)) {
    const { answer, sequentialTokens, totalTokens } = choose(subset, rule)
    outcomes.push({ accuracy: answer === gold ? 1 : 0, sequentialTokens, totalTokens })
  }
  return mean(outcomes)
}

/** How many problems at least one of the traces gets right: no choice does better. */
export const anyCorrect = (problems: readonly Problem[]): number =>
  problems.filter(({ gold, traces }) => traces.some(({ answer }) => answer === gold)).length / problems.length

function* subsets<T>(items: readonly T[], size: number, from = 0): Generator<T[]> {
  if (size === 0) {
    yield []
    return
  }
  for (let i = from; i <= items.length - size; i++)
    for (const rest of subsets(items, size - 1, i + 1)) yield [items[i]!, ...rest]
}

function mean(values: readonly Expectation[]): Expectation {
  const of = (pick: (value: Expectation) => number) =>
    values.reduce((sum, value) => sum + pick(value), 0) / values.length
  return {
    accuracy: of(({ accuracy }) => accuracy),
    sequentialTokens: of(({ sequentialTokens }) => sequentialTokens),
    totalTokens: of(({ totalTokens }) => totalTokens),
  }
}
