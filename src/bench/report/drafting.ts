/** The report's cards about methods: how much faster they are, how drafts fared, and whether that was to be expected. */

import { escapeText } from "../../base/svg.ts"
import type { BenchRecord } from "../record.ts"
import { acceptanceTable, draftingRows, methodRuns, methodSpeedTable, type Table } from "../tables.ts"
import type { BenchResult, BenchRow } from "../types.ts"
import { agreementChart, columnChart, intervalChart, lineChart } from "./charts.ts"
import { section, times } from "./section.ts"

const plain = "autoregressive"
export function methods(records: readonly BenchRecord[]): string {
  const from = methodRuns(records)
  if (from.length === 0) return ""
  const names = methodNames(from)
  const several = from.length > 1
  const rows = from.flatMap((record) => {
    const shown = record.rows.filter(({ speedup, method }) => speedup && (names.length === 0 || method !== plain))
    const categories = [...new Set(shown.map(({ category }) => category))]
    // Task by task, its name beside the first of the methods.
    return categories.flatMap((category) =>
      shown
        .filter((row) => row.category === category)
        .map(({ method, speedup }, i) => ({
          label: i > 0 ? "" : several ? `${category}, ${record.weights}/${record.threads}` : category,
          value: speedup!,
          series: Math.max(0, names.indexOf(method)),
        })),
    )
  })
  const words =
    "Decoding speed relative to plain decoding of the same prompts: sums over prompts, taking turns, with 95 % intervals; right of the dashed line the method is faster."
  const options = { reference: 1, format: times, axis: "speed relative to plain decoding", names }
  const chart = rows.length > 0 ? intervalChart("Speed relative to plain decoding", rows, options) : ""
  return section({ title: "Speed by task", words, chart, table: methodSpeedTable(records), from })
}

/** Of the methods that are compared with plain decoding; their places are their colours. */
const methodNames = (from: readonly BenchResult[]) =>
  [...new Set(from.flatMap(({ rows }) => rows.map(({ method }) => method)))].filter((method) => method !== plain)

export function acceptance(records: readonly BenchRecord[]): string {
  const drafts = draftingRows(records)
  if (drafts.length === 0) return ""
  const from = methodRuns(records)
  const label = ({ row, setting }: { row: BenchRow; setting: string }) =>
    from.length > 1 ? `${row.method}, ${setting}` : row.method
  const share = (value: number) => `${(value * 100).toFixed(0)} %`
  const rounds = drafts.map((one) => {
    const { histogram, rounds: all } = one.row.speculation!
    return { label: label(one), values: pooled(histogram).map((count) => count / all) }
  })
  const isPooled = rounds.some(({ values }) => values.length > mostColumns)
  const positions = drafts
    .map((one) => ({
      label: label(one),
      points: one.row.speculation!.byPosition.slice(0, mostPositions).map((value, i) => [i + 1, value] as const),
    }))
    .filter(({ points }) => points.length > 0)
  const columns = columnChart("Rounds by accepted draft tokens", rounds, {
    x: "draft tokens accepted in a round",
    y: "share of rounds",
    format: share,
    ...(isPooled ? { last: `${mostColumns} or more` } : {}),
  })
  const lines =
    positions.length > 0
      ? lineChart("Acceptance by position", positions, {
          x: "position in the draft",
          y: "share of rounds that accept it",
          linear: true,
          format: share,
        })
      : ""
  const source = drafts.find(({ row }) => row.published)?.row.published?.source
  const words = `What became of drafts, over all prompts. Each round also gives one token of the model's own, so the mean accepted length is that of the columns plus one.${source ? ` Published lengths are of another model: ${source}.` : ""}`
  const table = acceptanceTable(records)
  return section({ title: "Accepted drafts", words, chart: `${columns}<div class="gap"></div>${lines}`, table, from })
}

/** Long drafts are rare: what lies beyond is counted together, or left to the result file. */
const mostColumns = 10
const mostPositions = 16

function pooled(histogram: readonly number[]): readonly number[] {
  if (histogram.length <= mostColumns) return histogram
  const rest = histogram.slice(mostColumns).reduce((sum, count) => sum + count, 0)
  return [...histogram.slice(0, mostColumns), rest]
}

export function predictions(records: readonly BenchRecord[]): string {
  const from = methodRuns(records).filter(({ rows }) => rows.some(({ predicted }) => predicted))
  if (from.length === 0) return ""
  const names = methodNames(from)
  const found = from.flatMap(({ rows }) => rows.filter(({ predicted, speedup }) => predicted && speedup))
  const dots = found.map(({ method, category, predicted, speedup }) => ({
    label: escapeText(`${method}, ${category}: ${times(speedup!.median)}, predicted ${times(predicted!.speedup)}`),
    x: predicted!.speedup,
    y: speedup!.median,
    series: names.indexOf(method),
  }))
  if (dots.length === 0) return ""
  const axes = { x: "predicted speed-up", y: "measured speed-up", format: times, names, linear: true }
  const chart = agreementChart("Predicted and measured speed-up", dots, axes)
  const table: Table = {
    head: ["method", "category", "predicted", "measured", "left out, where they are more than 10 % apart"],
    rows: found.map(({ method, category, predicted, speedup }) => [
      method,
      category,
      times(predicted!.speedup),
      times(speedup!.median),
      predicted!.unmodelled.join(", ") || "–",
    ]),
  }
  const words =
    "A round's tokens over what its pass costs by the cost curve: what speed-up the acceptance should give. Inside the band the two agree within 10 %."
  return section({ title: "Predicted and measured", words, chart, table, from })
}
