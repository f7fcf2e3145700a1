/** What a load test found: how long clients waited, what became of their requests, and whether all came back to rest. */
import type { Machine, Source } from "./machine.ts"
import { lineChart } from "./report/charts.ts"
import { picture } from "./report/picture.ts"
import { quantile } from "./statistics.ts"
import type { Table } from "./tables.ts"
import type { ModelSummary } from "./types.ts"

export interface Spread {
  readonly count: number
  readonly p50: number
  readonly p95: number
  readonly max: number
}

export interface LoadRow {
  /** Clients that ask all the time, each one request after the other. */
  readonly clients: number
  readonly seconds: number
  readonly finished: number
  /** By their own client, on purpose. */
  readonly left: number
  /** To a killed engine: their clients got an error that says so. */
  readonly lost: number
  readonly tokensPerSecond: number
  /** Milliseconds, of requests that were not lost. */
  readonly first: Spread
  readonly between: Spread
  /** Of the server's process: the longest delay of its event loop in each second, the timer's own 10 ms included. */
  readonly lag: Spread
}

export interface LoadResult extends Source {
  readonly kind: "load"
  readonly machine: Machine
  readonly model: ModelSummary
  readonly weights: string
  readonly threads: number
  readonly parallel: number
  readonly maxTokens: number
  readonly kills: number
  readonly rows: readonly LoadRow[]
  /** MiB resident: before the largest number of clients came, and after they had gone. */
  readonly memory: { readonly server: readonly [number, number]; readonly engine: readonly [number, number] }
  /** What must hold; a text for each that did not. */
  readonly failures: readonly string[]
}

export function spread(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b)
  if (sorted.length === 0) return { count: 0, p50: 0, p95: 0, max: 0 }
  return { count: sorted.length, p50: quantile(sorted, 0.5), p95: quantile(sorted, 0.95), max: sorted.at(-1)! }
}

const both = ({ p50, p95 }: Spread) => `${p50.toFixed(0)} / ${p95.toFixed(0)}`

export function loadTable(records: readonly LoadResult[]): Table {
  const rows = records.flatMap(({ rows }) =>
    rows.map((row) => [
      ...[row.clients, row.seconds.toFixed(0), row.finished, row.left, row.lost].map(String),
      ...[both(row.first), both(row.between), row.tokensPerSecond.toFixed(1)],
      `${row.lag.p50.toFixed(0)} / ${row.lag.p95.toFixed(0)} / ${row.lag.max.toFixed(0)}`,
    ]),
  )
  const times = ["first token, ms: p50 / p95", "between tokens, ms: p50 / p95", "tokens/s", "lag, ms: p50 / p95 / max"]
  return { head: ["clients", "s", "finished", "left", "lost", ...times], rows }
}

/** What surrounds the table, in words that the record fills. */
export function loadWords({
  kills,
  rows,
  parallel,
  maxTokens,
  memory,
  failures,
  threads,
  weights,
}: LoadResult): string {
  const { server, engine } = memory
  const change = ([before, after]: readonly [number, number]) => `${before.toFixed(0)} to ${after.toFixed(0)} MiB`
  const held = failures.length === 0 ? "Everything that must hold did." : `It did not hold: ${failures.join("; ")}.`
  return `Weights ${weights}, ${threads} threads, \`--parallel ${parallel}\`, answers of up to ${maxTokens} tokens. Under ${rows.at(-1)!.clients} clients a third left at random moments and the engine was killed ${kills} times. Memory from before them to after: the server ${change(server)}, the engine ${change(engine)}. ${held}`
}

/** A picture that stands alone. */
export function loadPicture({ rows }: LoadResult): string {
  const points = (of: (row: LoadRow) => number) => rows.map((row) => [row.clients, of(row)] as const)
  const seconds = (value: number) => `${value} s`
  const charts = [
    lineChart(
      "Time to the first token",
      [
        { label: "p95", points: points(({ first }) => first.p95 / 1000) },
        { label: "p50", points: points(({ first }) => first.p50 / 1000) },
      ],
      { x: "clients", y: "time to the first token", format: seconds },
    ),
    lineChart(
      "Time between tokens",
      [
        { label: "p95", points: points(({ between }) => between.p95) },
        { label: "p50", points: points(({ between }) => between.p50) },
      ],
      { x: "clients", y: "time between tokens, ms" },
    ),
  ]
  return picture("Time to the first token, and between tokens", charts)
}
