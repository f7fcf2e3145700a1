/** A table of trained parts: what they were trained with, where they differ, and what validation said. Folders → Markdown. */
import { readdirSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { markdown, type Table } from "../src/bench/tables.ts"
import { readTrainingRecord, recordFile, type TrainingRecord } from "../src/models/trained-part.ts"

/** One row a part. Options that are the same in all parts of a recipe are left out. */
export function partsTable(parts: readonly Pick<TrainingRecord, "method" | "recipe" | "metrics">[]): Table {
  const differs = ({ method }: Pick<TrainingRecord, "method">, key: string) =>
    new Set(parts.filter((part) => part.method === method).map(({ recipe }) => String(recipe[key]))).size > 1
  const metrics = [...new Set(parts.flatMap((part) => Object.keys(part.metrics)))]
  return {
    head: ["recipe", "options", ...metrics],
    rows: parts.map((part) => [
      part.method,
      Object.entries(part.recipe)
        .filter(([key]) => differs(part, key))
        .map(([key, value]) => `${key}=${value}`)
        .join(" "),
      ...metrics.map((name) => part.metrics[name]?.toFixed(3) ?? ""),
    ]),
  }
}

/** Folders of parts, and folders that hold some. */
function recordsIn(folder: string): TrainingRecord[] {
  const entries = readdirSync(folder, { withFileTypes: true })
  if (entries.some(({ name }) => name === recordFile)) return [readTrainingRecord(folder)]
  const inside = entries.filter((entry) => entry.isDirectory()).map(({ name }) => join(folder, name))
  return inside.sort().flatMap(recordsIn)
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const records = process.argv.slice(2).flatMap(recordsIn)
  process.stdout.write(`${markdown(partsTable(records))}\n`)
}
