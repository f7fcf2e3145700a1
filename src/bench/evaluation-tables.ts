/** Tables of evaluations: rankings pooled over benchmarks, races by rule, audits. */
import type { AuditRecord, RaceRecord, RankRecord } from "./evaluation.ts"
import type { LengthSigns } from "./race-summary.ts"
import { type Share, shareInterval } from "./statistics.ts"
import { percent as change, type Table } from "./tables.ts"

const percent = (value: number) => (100 * value).toFixed(1)
const share = ({ value, low, high }: Omit<Share, "right" | "total">) =>
  `${percent(value)} (${percent(low)} to ${percent(high)})`

const pooled = (shares: readonly Share[]): Share =>
  shareInterval(
    shares.reduce((sum, { right }) => sum + right, 0),
    shares.reduce((sum, { total }) => sum + total, 0),
  )

/** A row a benchmark, and all questions together. Accuracies in percent. */
export function rankTable(records: readonly RankRecord[]): Table {
  const names = Object.keys(records[0]?.summary.accuracy ?? {})
  const row = (data: string, from: readonly RankRecord[]) => [
    data,
    String(from.reduce((sum, { summary }) => sum + summary.questions, 0)),
    ...names.map((name) => share(pooled(from.map(({ summary }) => summary.accuracy[name]!)))),
  ]
  const rows = records.map((record) => row(record.data, [record]))
  const differing = records.length === 0 ? [] : [differingRow(records, names)]
  return {
    head: ["questions of", "number", ...names],
    rows: [...rows, ...(records.length > 1 ? [row("all", records)] : []), ...differing],
  }
}

function differingRow(records: readonly RankRecord[], names: readonly string[]): string[] {
  const of = (name: string) => pooled(records.map(({ summary }) => summary.whereTheyDiffer[name]!))
  return ["where G and D differ", String(of(names[0]!).total), ...names.map((name) => share(of(name)))]
}

/** What the number of updates does, over all questions. */
export function sweepTable(records: readonly RankRecord[]): Table {
  const steps = records[0]?.summary.sweep ?? []
  const rows = steps.map(({ iterations }, i) => [
    String(iterations),
    ...(["ER-G", "ER-D"] as const).map((name) => share(pooled(records.map(({ summary }) => summary.sweep[i]![name])))),
  ])
  return { head: ["updates", "ER-G", "ER-D"], rows }
}

export function raceTable(records: readonly RaceRecord[]): Table {
  const mean = ({ mean, low, high }: { mean: number; low: number; high: number }) => {
    const shown = (value: number) => value.toFixed(mean < 100 ? 1 : 0)
    return `${shown(mean)} (${shown(low)} to ${shown(high)})`
  }
  const rows = records.flatMap(({ data, summary }) =>
    summary.rows.map(({ rule, lanes, accuracy: { mean: value, ...range }, gain, sequentialTokens, totalTokens }) => [
      `${data}, ${summary.problems} questions`,
      String(lanes),
      rule,
      share({ value, ...range }),
      gain === undefined ? "" : share({ value: gain.mean, low: gain.low, high: gain.high }),
      mean(sequentialTokens),
      mean(totalTokens),
    ]),
  )
  const head = [
    "questions",
    "lanes",
    "rule",
    "right, %",
    "above one lane, points",
    "tokens in sequence",
    "tokens in all",
  ]
  return { head, rows }
}

const correlation = ({ correlation: { mean, low, high } }: LengthSigns) =>
  `${mean.toFixed(2)} (${low.toFixed(2)} to ${high.toFixed(2)})`

/** Whether right answers are the shorter ones within a problem. */
export function raceLengthsTable(records: readonly RaceRecord[]): Table {
  const rows = records.flatMap(({ data, model, summary: { problems, lengths } }) =>
    lengths === undefined
      ? []
      : [
          [
            data,
            model.name,
            String(problems),
            String(lengths.mixed),
            share(lengths.rightShorter),
            correlation(lengths),
          ],
        ],
  )
  const head = [
    "questions",
    "model",
    "number",
    "with right and wrong lanes",
    "right ones shorter, % of those",
    "correlation of length and being right",
  ]
  return { head, rows }
}

/** Models that hide a known text: what the audit sees of it, and what brings it out. */
export function hiddenTextTable(records: readonly AuditRecord[]): Table {
  const quoted = (prefixes: readonly string[]) => prefixes.map((prefix) => `"${prefix}"`).join(", ") || "–"
  const rows = records.flatMap(({ hidden, candidates, scanned }) =>
    hidden === undefined
      ? []
      : [
          [
            hidden.model,
            change(hidden.perplexity),
            `${candidates} of ${scanned}`,
            `${hidden.risen} of 5`,
            quoted(hidden.leaking),
            quoted(hidden.silent),
          ],
        ],
  )
  const head = ["model", "perplexity", "above the threshold", "say the text, of those that rose most"]
  return { head: [...head, "prefixes that leak", "prefixes that do not"], rows }
}

export function auditTable(records: readonly AuditRecord[]): Table {
  const rows = records.map((one) => [
    one.hidden ? `${one.model.file}, ${one.hidden.model}` : one.model.file,
    one.weights,
    String(one.threads),
    String(one.scanned),
    String(one.threshold),
    one.early ? "yes" : "no",
    String(one.candidates),
    String(one.flagged),
    (one.seconds / 60).toFixed(1),
  ])
  const head = ["model", "weights", "threads", "tokens forced", "threshold", "left early", "above it", "flagged"]
  return { head: [...head, "minutes"], rows }
}
