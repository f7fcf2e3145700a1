/** The report: one HTML file with its plots, nothing loaded from elsewhere. */
import { join } from "node:path"
import { escapeText } from "../../base/svg.ts"
import { writeText } from "../../base/write-text.ts"
import type { ConcurrencyResult } from "../concurrency.ts"
import type { BenchRecord } from "../record.ts"
import {
  concurrencyTable,
  costCurveTable,
  newest,
  percent,
  perplexityTable,
  profileTable,
  speedTable,
  startUpTable,
  withPeers,
} from "../tables.ts"
import { barChart, intervalChart, lineChart } from "./charts.ts"
import { acceptance, methods, predictions } from "./drafting.ts"
import { section, threadsOf, times } from "./section.ts"
import { style } from "./style.ts"

/** Writes `index.html` into the folder and returns its path. @throws E_IO */
export async function writeReport(records: readonly BenchRecord[], folder: string): Promise<string> {
  const path = join(folder, "index.html")
  await writeText(path, reportPage(records))
  return path
}

export function reportPage(records: readonly BenchRecord[]): string {
  const sections = [methods, acceptance, predictions, costs, concurrency, peers, perplexities, startUps, profiles]
    .map((make) => make(records))
    .join("\n")
  const models = [...new Set(records.map(({ model }) => model.file))].join(", ")
  const body = `<main><h1>Forerun benchmark</h1>
<p class="soft">${escapeText(models)}</p>${facts(records)}
${sections || "<p>There is nothing to show yet.</p>"}</main>`
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"/><meta name="viewport" content="width=device-width, initial-scale=1"/>
<title>Forerun benchmark</title><style>${style}</style></head>
<body>${body}</body></html>
`
}

function facts(records: readonly BenchRecord[]): string {
  const latest = records.at(-1)
  if (!latest) return ""
  const { machine, date, commit, version } = latest
  const pairs = [
    ["Machine", `${machine.cpu}, ${machine.cores} cores, ${machine.memoryGiB} GiB`],
    ["Node", machine.node],
    ["onnxruntime", machine.onnxruntime],
    ["Measured", date.slice(0, 16).replace("T", " ")],
    [commit === undefined ? "Version" : "Commit", commit ?? version],
  ]
  return `<dl>${pairs.map(([name, value]) => `<div><dt>${name}</dt><dd>${escapeText(value!)}</dd></div>`).join("")}</dl>`
}

function peers(records: readonly BenchRecord[]): string {
  const from = withPeers(records)
  if (from.length === 0) return ""
  const rows = from.flatMap(({ peers: compared, weights, threads }, series) =>
    compared
      .flatMap((peer) => [
        ...peer.contexts.map(({ context, ratio }) => ({ work: `after ${context}`, value: ratio })),
        { work: `reading ${peer.prefillTokens}`, value: peer.prefillRatio },
      ])
      .map(({ work, value }) => ({ label: `${weights}, ${threadsOf(threads)}, ${work}`, value, series })),
  )
  const version = from[0]!.peers[0]!.version
  const words = `Forerun's speed over that of ${version}: same file, same threads, taking turns. Medians of ratios with 95 % intervals; right of the dashed line Forerun is faster.`
  const options = { reference: 1, format: times, axis: "speed relative to llama.cpp" }
  const chart = intervalChart("Speed relative to llama.cpp", rows, options)
  return section({ title: "Beside llama.cpp", words, chart, table: speedTable(records), from })
}

function costs(records: readonly BenchRecord[]): string {
  const from = newest(records, "bench", ({ costCurve }) => costCurve !== undefined)
  if (from.length === 0) return ""
  const series = from.map(({ weights, threads, costCurve: curve }) => ({
    label: `${weights}, ${threadsOf(threads)}`,
    points: curve!.rows.map((rows, i) => [rows, curve!.milliseconds[i]! / curve!.milliseconds[0]!] as const),
  }))
  const words = "What a pass of several rows costs, in passes of one row. A flat line would make drafts free to verify."
  const chart = lineChart("Cost of a pass by rows", series, { x: "rows in one pass", y: "cost relative to one row" })
  return section({ title: "Cost of rows", words, chart, table: costCurveTable(records), from })
}

export function concurrencyChart(from: readonly ConcurrencyResult[]): string {
  const series = from.flatMap(({ weights, threads, rows }) => {
    const label = `${weights}, ${threadsOf(threads)}`
    return [
      { label: `${label}, own`, points: rows.map((row) => [row.sequences, row.tokensPerSecond] as const) },
      { label: `${label}, one`, points: rows.map((row) => [row.sequences, row.sharedTokensPerSecond] as const) },
    ]
  })
  return lineChart("Speed by sequences", series, { x: "sequences at the same time", y: "tokens a second" })
}

function concurrency(records: readonly BenchRecord[]): string {
  const from = newest(records, "concurrency")
  if (from.length === 0) return ""
  const words =
    "Tokens a second of all sequences that decode at the same time: each behind a prompt of its own, and all behind one, which is then read once a pass for all of them."
  const chart = concurrencyChart(from)
  return section({ title: "Several sequences", words, chart, table: concurrencyTable(records), from })
}

function perplexities(records: readonly BenchRecord[]): string {
  const from = newest(records, "perplexity")
  if (from.length === 0) return ""
  const rows = from
    .flatMap((record) => record.rows)
    .filter(({ weights, isChanged }) => weights !== "f32" || isChanged)
    .map(({ weights, isChanged, ratio, ratioInterval: { low, high } }) => ({
      label: isChanged ? `${weights}, changed` : weights,
      value: { median: ratio, low, high },
    }))
  const words = "Perplexity of each weight format against float32; right of the dashed line is worse."
  const options = { reference: 1, format: percent, axis: "perplexity relative to f32" }
  const chart = rows.length > 0 ? intervalChart("Perplexity by weight format", rows, options) : ""
  return section({ title: "Perplexity", words, chart, table: perplexityTable(records), from })
}

function startUps(records: readonly BenchRecord[]): string {
  const from = newest(records, "start-up")
  if (from.length === 0) return ""
  const rows = from.flatMap((record) =>
    record.rows.map(({ weights, firstMs, convertedMs }) => ({
      label: `${weights}, ${threadsOf(record.threads)}`,
      parts: [
        { name: "first time", value: firstMs, series: 1 },
        { name: "weights converted", value: convertedMs, series: 0 },
      ],
    })),
  )
  const words = "From the start of a process to its first text. The first time, weights are converted on the way."
  const chart = barChart("Start-up time", rows, { format: (ms) => `${(ms / 1000).toFixed(2)} s` })
  return section({ title: "Start-up", words, chart, table: startUpTable(records), from })
}

function profiles(records: readonly BenchRecord[]): string {
  const from = newest(records, "profile")
  if (from.length === 0) return ""
  const rows = from.map(({ weights, threads, matrixMs, otherMs }) => ({
    label: `${weights}, ${threadsOf(threads)}`,
    parts: [
      { name: "matrix products", value: matrixMs, series: 0 },
      { name: "everything else", value: otherMs, series: 1 },
    ],
  }))
  const words =
    "A decode step's time: matrix products as the profiler's trace has them, and what the step without profiler takes beyond that. The trace itself slows the step; uncorrected, it gives everything else a larger share (in the numbers)."
  const chart = barChart("Time of a decode step", rows, { stacked: true, format: (ms) => `${ms.toFixed(1)} ms` })
  return section({ title: "Where a step's time goes", words, chart, table: profileTable(records), from })
}
