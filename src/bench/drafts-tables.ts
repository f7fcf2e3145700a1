/** Mean accepted lengths as a table: of every method, setting and temperature the newest. */
import { type CostCurve, relativeCost } from "../runtime/cost-curve.ts"
import type { DraftsResult, DraftsRow } from "./drafts.ts"
import type { Pooled } from "./statistics.ts"
import type { Table } from "./tables.ts"

interface Shown extends DraftsRow {
  readonly record: DraftsResult
}

const range = ({ value, low, high }: Pooled): string => `${value.toFixed(2)} (${low.toFixed(2)} to ${high.toFixed(2)})`
const asked = ({ prompts }: DraftsResult): number => Object.values(prompts).reduce((sum, count) => sum + count, 0)

/** With whose weights, where they are not those that come along, and of which changed target. */
const settingOf = ({ setting, part }: DraftsRow, { model }: DraftsResult): string =>
  `${setting}${part === undefined ? "" : ` (${part})`}${model.adapter === undefined ? "" : `, on ${model.adapter}`}`

/**
 * What a pass of 64 rows costs beside one of one row on the processor that Medusa's paper measures: 1.2, and in between a
 * line (arXiv 2401.10774, step overheads of table 1).
 */
const paperCost = (rows: number): number => 1 + (0.2 * (rows - 1)) / 63

/**
 * @param curve what rows cost here; with it, two columns say what the acceptance would gain if nothing but rows cost: on
 * this processor, and on one like the papers'
 */
export function draftsTable(records: readonly DraftsResult[], curve?: CostCurve): Table {
  const found = new Map<string, Shown>()
  for (const record of [...records].sort((a, b) => (a.date < b.date ? -1 : 1)))
    for (const row of record.rows)
      found.set(
        JSON.stringify([record.model, record.temperature, Object.keys(record.prompts), row.method, row.setting]),
        { ...row, record },
      )
  const rows = [...found.values()].sort((a, b) => a.record.temperature - b.record.temperature)
  const tasks = [...new Set(rows.flatMap(({ byTask }) => Object.keys(byTask)))]
  const gains = ({ meanAcceptedLength: { value }, drafted }: DraftsRow): string[] =>
    curve === undefined
      ? []
      : [value / relativeCost(curve, 1 + drafted), value / paperCost(1 + drafted)].map((gain) => gain.toFixed(2))
  return {
    head: [
      ...["method", "setting", "temperature", "tokens a verification (95 %)", "without loops", ...tasks],
      ...["drafted a round", "draft passes a round"],
      ...(curve === undefined ? [] : ["gain if only rows cost, here", "at the papers' cost of rows"]),
      ...["same answers", "Spec-Bench's"],
    ],
    rows: rows.map(({ record, ...row }) => [
      row.method,
      settingOf(row, record),
      String(record.temperature),
      range(row.meanAcceptedLength),
      row.withoutLoops.toFixed(2),
      ...tasks.map((task) => row.byTask[task]?.toFixed(2) ?? "–"),
      row.drafted.toFixed(1),
      row.draftPasses.toFixed(1),
      ...gains(row),
      row.identical === undefined ? "–" : `${row.identical} of ${asked(record)}`,
      row.published?.toFixed(2) ?? "–",
    ]),
  }
}
