/** One card of the report: what is shown, in words, as a chart, and as numbers with their origin. */

import { element, escapeText } from "../../base/svg.ts"
import type { BenchRecord } from "../record.ts"
import { provenance, type Table } from "../tables.ts"

export interface Section {
  readonly title: string
  readonly words: string
  /** Markup; charts one below the other. */
  readonly chart: string
  readonly table: Table
  readonly from: readonly BenchRecord[]
}

export function section({ title, words, chart, table, from }: Section): string {
  const cells = (values: readonly string[], name: string) =>
    element("tr", {}, values.map((value) => element(name, {}, escapeText(value) || " ")).join(""))
  const rows = cells(table.head, "th") + table.rows.map((row) => cells(row, "td")).join("")
  return `<section><h2>${escapeText(title)}</h2><p class="soft">${escapeText(words)}</p><div class="scroll">${chart}</div>
<details><summary>Numbers</summary><div class="scroll"><table>${rows}</table></div>
<p class="soft">${escapeText(provenance(from))}</p></details></section>`
}

export const times = (value: number) => `${value.toFixed(2)}×`
export const threadsOf = (threads: number) => `${threads} thread${threads === 1 ? "" : "s"}`
