/** Result files: one JSON file a measurement, named by date, machine and what was measured. */
import { mkdir, readdir, readFile, rename, writeFile } from "node:fs/promises"
import { dirname, join } from "node:path"
import { ForerunError } from "../base/errors.ts"
import { type Machine, machineSlug, type Source } from "./machine.ts"
import type { PerplexityResult } from "./perplexity.ts"
import type { ProfileResult } from "./profile.ts"
import type { StartUpResult } from "./start-up.ts"
import type { BenchResult } from "./types.ts"

export type BenchRecord = BenchResult | PerplexityResult | ProfileResult | StartUpResult

export interface Described extends Source {
  readonly machine: Machine
}

/** Where records of this project lie, relative to the checkout. */
export const resultsFolder = "bench/results"

/** "2026-11-23-epyc-2-cores-bench-q8-2-threads.json" */
export function recordName(record: BenchRecord): string {
  const what = {
    bench: () => `${(record as BenchResult).weights}-${threads(record)}`,
    perplexity: () => (record as PerplexityResult).text.name,
    profile: () => `${(record as ProfileResult).weights}-${threads(record)}`,
    "start-up": () => threads(record),
  }[record.kind]()
  const model = record.model.file.replace(/\.gguf$/i, "")
  const slug = [record.kind, model, what].join("-").replace(/[^A-Za-z0-9.-]+/g, "-")
  return `${record.date.slice(0, 10)}-${machineSlug(record.machine)}-${slug}.json`.toLowerCase()
}

const threads = (record: object) => `${(record as { threads?: number }).threads ?? 0}-threads`

/** Writes a record to a file, or under its own name into a folder. Returns the path. @throws E_IO */
export async function saveRecord(
  record: BenchRecord,
  to: { readonly file: string } | { readonly folder: string },
): Promise<string> {
  const path = "file" in to ? to.file : join(to.folder, recordName(record))
  try {
    await mkdir(dirname(path), { recursive: true })
    const temporary = `${path}.${process.pid}.part` // an interrupted write leaves no half-written record
    await writeFile(temporary, `${JSON.stringify(record, rounded, 2)}\n`)
    await rename(temporary, path)
  } catch (cause) {
    throw new ForerunError("E_IO", `cannot write ${path}: ${(cause as Error).message}`, { cause })
  }
  return path
}

/** Six digits: what lies beyond is noise and makes differences unreadable. */
const rounded = (_key: string, value: unknown): unknown =>
  typeof value === "number" && !Number.isInteger(value) ? Number(value.toPrecision(6)) : value

/** Every record of a folder, oldest first; a missing folder has none. @throws E_IO for a file that is not a record */
export async function readRecords(folder: string): Promise<BenchRecord[]> {
  const names = await readdir(folder).catch((): string[] => [])
  const records: BenchRecord[] = []
  for (const name of names.filter((one) => one.endsWith(".json")).sort()) {
    const record = await readFile(join(folder, name), "utf8")
      .then(JSON.parse)
      .catch(() => undefined)
    if (typeof record?.kind !== "string" || typeof record.date !== "string" || typeof record.machine !== "object")
      throw new ForerunError("E_IO", `${join(folder, name)} is not a benchmark record`)
    records.push(record)
  }
  return records.sort((a, b) => (a.date < b.date ? -1 : a.date > b.date ? 1 : 0))
}
