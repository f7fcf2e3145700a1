/** Mean accepted lengths as a table: of every method, setting and temperature the newest. */
import type { DraftsResult, DraftsRow } from "./drafts.ts"
import type { Table } from "./tables.ts"

interface Shown extends DraftsRow {
  readonly record: DraftsResult
}

const asked = ({ prompts }: DraftsResult): number => Object.values(prompts).reduce((sum, count) => sum + count, 0)

export function draftsTable(records: readonly DraftsResult[]): Table {
  const found = new Map<string, Shown>()
  for (const record of [...records].sort((a, b) => (a.date < b.date ? -1 : 1)))
    for (const row of record.rows)
      found.set(
        JSON.stringify([record.model, record.temperature, Object.keys(record.prompts), row.method, row.setting]),
        { ...row, record },
      )
  const rows = [...found.values()].sort((a, b) => a.record.temperature - b.record.temperature)
  const tasks = [...new Set(rows.flatMap(({ byTask }) => Object.keys(byTask)))]
  return {
    head: [
      ...["method", "setting", "temperature", "tokens a verification (95 %)", "without loops", ...tasks],
      ...["drafted a round", "draft passes a round", "same answers", "Spec-Bench's"],
    ],
    rows: rows.map(({ record, meanAcceptedLength: { value, low, high }, ...row }) => [
      row.method,
      row.part === undefined ? row.setting : `${row.setting} (${row.part})`,
      String(record.temperature),
      `${value.toFixed(2)} (${low.toFixed(2)} to ${high.toFixed(2)})`,
      row.withoutLoops.toFixed(2),
      ...tasks.map((task) => row.byTask[task]?.toFixed(2) ?? "–"),
      row.drafted.toFixed(1),
      row.draftPasses.toFixed(1),
      row.identical === undefined ? "–" : `${row.identical} of ${asked(record)}`,
      row.published?.toFixed(2) ?? "–",
    ]),
  }
}
