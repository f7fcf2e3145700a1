/** What `forerun bench` measured, as tables for people. */
import { draftsTable } from "../bench/drafts-tables.ts"
import {
  adaptationTable,
  agreementTable,
  exitCostTable,
  exitSweepTable,
  exitTaskTable,
  timedExitTable,
} from "../bench/exits/exit-tables.ts"
import { loadTable } from "../bench/load.ts"
import { choiceTable, placementTable } from "../bench/placement-tables.ts"
import type { MeasuredRecord } from "../bench/record.ts"
import { reliabilityTable, stopGainTable, stopTable } from "../bench/stopping-tables.ts"
import {
  acceptanceTable,
  certificateTable,
  concurrencyTable,
  costCurveTable,
  jobTable,
  newest,
  perplexityTable,
  profileTable,
  startUpTable,
  type Table,
} from "../bench/tables.ts"
import type { BenchResult } from "../bench/types.ts"
import { table } from "./terminal.ts"

export function describeRecord(record: MeasuredRecord): string {
  if (record.kind === "bench") return describeBench(record)
  if (record.kind === "placement")
    return `${record.model.name}\n\n${shown(placementTable([record]))}\n\n${shown(choiceTable([record]))}\n`
  if (record.kind === "stopping")
    return `${record.model.name}\n\n${[stopTable, stopGainTable, reliabilityTable].map((made) => shown(made([record]))).join("\n\n")}\n`
  if (record.kind === "drafts") return `${record.model.name}\n\n${shown(draftsTable([record]))}\n`
  if (record.kind === "exits")
    return `${record.model.name}\n\n${exitTables.map((made) => shown(made([record]))).join("\n\n")}\n`
  const made = {
    certificate: certificateTable,
    concurrency: concurrencyTable,
    load: (records: readonly MeasuredRecord[]) => loadTable(newest(records, "load")),
    job: jobTable,
    perplexity: perplexityTable,
    profile: profileTable,
    "start-up": startUpTable,
  }[record.kind]
  return `${record.model.name}\n\n${shown(made([record]))}\n`
}

const exitTables = [agreementTable, exitCostTable, exitSweepTable, exitTaskTable, timedExitTable, adaptationTable]

const shown = ({ head, rows }: Table): string => table(head, rows)

const speed = (value: number): string => value.toFixed(1)
const interval = (value: { median: number; low: number; high: number } | undefined): string =>
  value === undefined ? "–" : `${value.median.toFixed(2)} (${value.low.toFixed(2)} to ${value.high.toFixed(2)})`

function describeBench(result: BenchResult): string {
  const { model, weights, threads, repetitions, rows, peers, costCurve } = result
  const parts = [`${model.name} · weights ${weights} · threads ${threads} · ${repetitions} repetitions`]
  if (rows.length > 0) {
    const headings = ["method", "category", "prompts", "tokens", "tokens/s", "accepted", "passes", "rows", "speedup"]
    const cells = rows.map((row) => [
      row.method,
      row.category,
      `${row.prompts}`,
      `${row.tokens}`,
      speed(row.tokensPerSecond),
      row.meanAcceptedLength.toFixed(2),
      `${row.passes.target}${row.passes.draft > 0 ? ` + ${row.passes.draft}` : ""}`,
      `${row.targetRows}`,
      interval(row.speedup),
      row.predicted ? row.predicted.speedup.toFixed(2) : "–",
      `${(row.loops * 100).toFixed(0)} %`,
    ])
    parts.push(table([...headings, "predicted", "loops"], cells))
  }
  if (rows.some(({ speculation }) => speculation !== undefined)) parts.push(shown(acceptanceTable([result])))
  for (const { method, category, predicted } of rows)
    if (predicted && predicted.unmodelled.length > 0)
      parts.push(`${method}, ${category}: the prediction leaves out ${predicted.unmodelled.join(", ")}`)
  for (const peer of peers) {
    const decode = peer.contexts.map((row) => [
      `decode after ${row.context}`,
      speed(row.tokensPerSecond),
      speed(row.peerTokensPerSecond),
      interval(row.ratio),
    ])
    const prefill = [
      `prefill of ${peer.prefillTokens}`,
      speed(peer.ours.prefillTokensPerSecond),
      speed(peer.prefillTokensPerSecond),
      interval(peer.prefillRatio),
    ]
    parts.push(table(["tokens/s", "forerun", `${peer.name} ${peer.version}`, "ratio"], [...decode, prefill]))
  }
  if (costCurve) parts.push(shown(costCurveTable([result])))
  return `${parts.join("\n\n")}\n`
}
