/** Who wins among finished lanes, and what the race cost. Pure. */
import { majority } from "../../decoding/answer.ts"

/** A lane or a recorded trace, as far as choosing needs it. */
export interface Trace {
  /** Tokens decoded. */
  readonly length: number
  /** What it answers; absent where none was found. */
  readonly answer?: string | undefined
  /** Whether it came to its end by itself; one cut off at the limit did not. */
  readonly finished: boolean
}

export interface Choice {
  /** Indices of the traces that were heard, in order of length, then of index. */
  readonly voters: readonly number[]
  /** The majority of their answers; the lowest index among equals decides a tie. */
  readonly answer: string | undefined
  /** Length of the critical path: nothing decodes longer than this. */
  readonly sequentialTokens: number
  /** Everything that is decoded before the rest is cancelled, the cancelled included. */
  readonly totalTokens: number
}

export interface ChoiceRule {
  /** first: the k that finish first; last: the k longest, for which all must be waited for. */
  readonly keep: "first" | "last"
  readonly count: number
  /** Only traces with an answer count as finished, as the follow-up paper's evaluation has it: hindsight for a real race. */
  readonly requireAnswer: boolean
  /** Equal lengths at the cut: all are heard, which is a small vote (default), or only the lowest indices. */
  readonly ties?: "heard" | "lowest"
}

/** Where fewer than `count` finish, all of them are, and everything is waited for. */
export function choose(traces: readonly Trace[], { keep, count, requireAnswer, ties = "heard" }: ChoiceRule): Choice {
  const counts = ({ answer, finished }: Trace) => (requireAnswer ? answer !== undefined : finished)
  const ends = traces.flatMap((trace, i) => (counts(trace) ? [{ i, length: trace.length }] : []))
  ends.sort((a, b) => a.length - b.length || a.i - b.i)
  const longest = Math.max(0, ...traces.map(({ length }) => length))
  const cut = keep === "first" ? ends[count - 1]?.length : ends[Math.max(0, ends.length - count)]?.length
  const within = ends.filter(({ length }) => cut === undefined || (keep === "first" ? length <= cut : length >= cut))
  const heard = ties === "heard" ? within : keep === "first" ? within.slice(0, count) : within.slice(-count)
  const stop = keep === "first" ? (cut ?? longest) : longest
  return {
    voters: heard.map(({ i }) => i),
    answer: majority(heard.map(({ i }) => i).sort((a, b) => a - b).map((i) => traces[i]!.answer)), // biome-ignore format: one thought
    sequentialTokens: stop,
    totalTokens: traces.reduce((sum, { length }) => sum + Math.min(length, stop), 0),
  }
}

/** Cost of running lanes to their end one after another, each given up where it reaches the shortest so far. */
export function oneByOneTokens(lengths: readonly number[]): number {
  let bound = Number.POSITIVE_INFINITY
  let total = 0
  for (const length of lengths) {
    total += Math.min(length, bound)
    bound = Math.min(bound, length)
  }
  return total
}
