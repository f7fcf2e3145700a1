/** Rounds that were counted, as speeds: beside plain decoding by what passes cost here, and by layers alone. Pure. */
import { type ExitCosts, passTime } from "./exit-costs.ts"
import type { ExitRound } from "./exit-replay.ts"

export interface Counted {
  /** "all": every answer together. */
  readonly task: string
  readonly tokens: number
  readonly rounds: number
  readonly drafted: number
  /** Beside plain decoding, by the time that passes take. */
  readonly speed: number
  /** The same, were layers all that costs (the paper's measure). */
  readonly layerSpeed: number
  /** Of the time, what shadow tokens took. */
  readonly shadowShare: number
}

export interface CountedRow extends Counted {
  readonly method: string
  readonly options: Readonly<Record<string, unknown>>
}

interface Rounds {
  readonly source: string
  readonly rounds: readonly ExitRound[]
}

/** By task, if there are several, and all together. */
export function countRounds(
  answers: readonly Rounds[],
  given: { readonly costs: ExitCosts; readonly layers: number },
): Counted[] {
  const tasks = [...new Set(answers.map(({ source }) => source))]
  const of = (task: string, list: readonly Rounds[]) =>
    count(
      task,
      list.flatMap(({ rounds }) => rounds),
      given,
    )
  const single = tasks.map((task) =>
    of(
      task,
      answers.filter(({ source }) => source === task),
    ),
  )
  return [...(tasks.length > 1 ? single : []), of("all", answers)]
}

function count(
  task: string,
  rounds: readonly ExitRound[],
  { costs, layers }: { readonly costs: ExitCosts; readonly layers: number },
): Counted {
  const sum = (value: (round: ExitRound) => number) => rounds.reduce((all, round) => all + value(round), 0)
  const time = (wanted: (depth: number) => boolean) =>
    sum(({ passes }) =>
      passes.reduce((all, pass) => all + (wanted(pass.to - pass.from) ? passTime(pass, costs) : 0), 0),
    )
  const [tokens, whole] = [sum((round) => round.tokens), time(() => true)]
  const run = sum(({ passes }) => passes.reduce((all, { from, to }) => all + to - from, 0))
  return {
    task,
    tokens,
    rounds: rounds.length,
    drafted: sum((round) => round.drafted),
    speed: (tokens * costs.plain) / whole,
    layerSpeed: (tokens * layers) / run,
    shadowShare: time((depth) => depth === 0) / whole,
  }
}

export const best = <R extends Counted>(rows: readonly R[], by: "speed" | "layerSpeed"): R =>
  rows.reduce((a, b) => (b[by] > a[by] ? b : a))
