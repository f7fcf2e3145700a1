/** Comma-separated values with a heading line, quoted as RFC 4180 says: text in, records out. */
import { ForerunError } from "../base/errors.ts"

export interface CsvRecord {
  /** Line of the text it begins in, from 1. */
  readonly line: number
  readonly fields: Readonly<Record<string, string>>
}

/** Short rows lack their last fields, which are then empty. @throws E_INPUT for a quote that is never closed, and long rows */
export function readCsv(text: string): CsvRecord[] {
  const [heading, ...rows] = readRows(text.replace(/^\uFEFF/, ""))
  if (!heading) return []
  const names = heading.cells
  return rows
    .filter(({ cells }) => cells.length > 1 || cells[0] !== "")
    .map(({ line, cells }) => {
      if (cells.length > names.length)
        throw new ForerunError("E_INPUT", `line ${line}: ${cells.length} fields under ${names.length} headings`)
      return { line, fields: Object.fromEntries(names.map((name, i) => [name, cells[i] ?? ""])) }
    })
}

function readRows(text: string): { line: number; cells: string[] }[] {
  const rows: { line: number; cells: string[] }[] = []
  const cell = /(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r?\n|$)/y
  let line = 1
  let row: { line: number; cells: string[] } = { line, cells: [] }
  while (cell.lastIndex < text.length || row.cells.length > 0) {
    const begin = cell.lastIndex
    const found = cell.exec(text)
    if (!found) throw new ForerunError("E_INPUT", `line ${line}: a quote stands where CSV allows none`)
    row.cells.push(found[1] === undefined ? (found[2] ?? "") : found[1].replaceAll('""', '"'))
    line += text.slice(begin, cell.lastIndex).split("\n").length - 1
    if (found[3] === ",") continue
    rows.push(row)
    row = { line, cells: [] }
  }
  return rows
}
