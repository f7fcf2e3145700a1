/** Result files: one JSON file a measurement, named by date, machine and what was measured. */
import { createHash } from "node:crypto"
import { mkdir, readdir, readFile, rename, writeFile } from "node:fs/promises"
import { dirname, join } from "node:path"
import { ForerunError } from "../base/errors.ts"
import type { ConcurrencyResult } from "./concurrency.ts"
import type { DraftsResult } from "./drafts.ts"
import type { AuditRecord, EvaluationRecord } from "./evaluation.ts"
import type { ExitsResult } from "./exits/measure-exits.ts"
import type { JobResult } from "./job.ts"
import type { LoadResult } from "./load.ts"
import { type Machine, machineSlug, type Source } from "./machine.ts"
import type { PerplexityResult } from "./perplexity.ts"
import type { PlacementResult } from "./placement.ts"
import type { ProfileResult } from "./profile.ts"
import type { StartUpResult } from "./start-up.ts"
import type { StoppingResult } from "./stopping.ts"
import type { BenchResult } from "./types.ts"
import type { CertificateRecord } from "./verify-methods.ts"

export type BenchRecord = MeasuredRecord | EvaluationRecord

/** What bench and verify measure. */
export type MeasuredRecord =
  | BenchResult
  | CertificateRecord
  | ConcurrencyResult
  | DraftsResult
  | ExitsResult
  | LoadResult
  | JobResult
  | PerplexityResult
  | PlacementResult
  | ProfileResult
  | StartUpResult
  | StoppingResult

export interface Described extends Source {
  readonly machine: Machine
}

/** Where records of this project lie, relative to the checkout. */
export const resultsFolder = "bench/results"

/** "2026-11-26-epyc-2-cores-bench-model-q8-2-threads-auto-7-tasks-64-tokens-10-repetitions-1f3a9c.json" */
export function recordName(record: BenchRecord): string {
  const evaluation = () => {
    const { weights, data } = record as EvaluationRecord
    return `${weights}-${threads(record)}-${data}`
  }
  const what = {
    audit: () => `${evaluation()}-${(record as AuditRecord).threshold}`,
    rank: evaluation,
    race: evaluation,
    bench: () => `${(record as BenchResult).weights}-${threads(record)}${benchName(record as BenchResult)}`,
    certificate: () => certificateName(record as CertificateRecord),
    concurrency: () => `${(record as ConcurrencyResult).weights}-${threads(record)}`,
    drafts: () => {
      const { weights, temperature, maxTokens, rows, prompts } = record as DraftsResult
      const methods = [...new Set(rows.filter(({ identical }) => identical !== undefined).map(({ method }) => method))]
      const tasks = Object.keys(prompts).length
      return `${weights}-${methods.join("-")}-${tasks}-tasks-${maxTokens}-tokens-temperature-${temperature}`
    },
    exits: () => {
      const { weights, prompts, maxTokens } = record as ExitsResult
      return `${weights}-${threads(record)}-${prompts}-prompts-${maxTokens}-tokens`
    },
    load: () =>
      `${(record as LoadResult).weights}-${threads(record)}-${(record as LoadResult).rows.at(-1)!.clients}-clients`,
    job: () => {
      const { weights, job, requests } = record as JobResult
      return `${weights}-${threads(record)}-${job}-${requests}-requests`
    },
    placement: () => {
      const { method, weights, device, maxTokens, prompts } = record as PlacementResult
      return `${method}-${weights}-${threads(record)}-draft-on-${device}-${prompts}-prompts-${maxTokens}-tokens`
    },
    perplexity: () => (record as PerplexityResult).text.name,
    profile: () => `${(record as ProfileResult).weights}-${threads(record)}`,
    "start-up": () => threads(record),
    stopping: () => {
      const { method, row, weights, maxTokens, prompts } = record as StoppingResult
      return `${method}-row-that-${row}-${weights}-${Object.keys(prompts).length}-tasks-${maxTokens}-tokens`
    },
  }[record.kind]()
  const { file, adapter = "" } = record.model
  const model = `${file.replace(/\.gguf$/i, "")}${adapter && `-${adapter}`}`
  const slug = [record.kind, model, what].join("-").replace(/[^A-Za-z0-9.-]+/g, "-")
  return `${record.date.slice(0, 10)}-${machineSlug(record.machine)}-${slug}.json`.toLowerCase()
}

const threads = (record: object) => `${(record as { threads?: number }).threads ?? 0}-threads`

function certificateName(record: CertificateRecord): string {
  const { certificates, weights, maxTokens } = record
  const prompts = Math.max(0, ...certificates.map((one) => one.prompts))
  return `${weights}-${threads(record)}-${certificates.length}-methods-${prompts}-prompts-${maxTokens}-tokens`
}

/** Methods, tasks, sizes, peers; where names are too many to read, their number, and a hash that keeps them apart. */
function benchName(record: BenchResult): string {
  const { rows, peers, costCurve, maxTokens, repetitions } = record
  const { methods, tasks } = measuredOf(record)
  const some = (names: readonly string[], what: string) =>
    names.length > mostNamed ? [`${names.length}-${what}`] : names
  const compared = methods.filter((method) => method !== "autoregressive")
  const parts = [
    ...some(compared.length > 0 ? compared : methods, "methods"),
    ...some(tasks, "tasks"),
    ...(rows.length > 0 && maxTokens !== undefined ? [`${maxTokens}-tokens`] : []),
    ...peers.map(({ name, contexts }) => ["beside", name, ...contexts.map(({ context }) => context)].join("-")),
    ...(rows.length + peers.length === 0 && costCurve ? ["cost-curve"] : []),
    `${repetitions}-repetitions`,
    createHash("sha256")
      .update(JSON.stringify([methods, tasks, maxTokens]))
      .digest("hex")
      .slice(0, 6),
  ]
  return `-${parts.join("-")}`
}

const mostNamed = 2

/** Which methods on which tasks: runs that differ in them are different measurements. */
export function measuredOf({ rows }: Pick<BenchResult, "rows">) {
  const distinct = (names: readonly string[]) => [...new Set(names)]
  return {
    methods: distinct(rows.map(({ method }) => method)),
    tasks: distinct(rows.map(({ category }) => category)).filter((category) => category !== "all"),
  }
}

/** Writes a record to a file, or under its own name into a folder. A folder's records are never replaced. @throws E_IO */
export async function saveRecord(
  record: BenchRecord,
  to: { readonly file: string } | { readonly folder: string },
): Promise<string> {
  const wanted = "file" in to ? to.file : join(to.folder, recordName(record))
  try {
    await mkdir(dirname(wanted), { recursive: true })
    const path = "file" in to ? wanted : await freePath(wanted)
    const temporary = `${path}.${process.pid}.part` // an interrupted write leaves no half-written record
    await writeFile(temporary, `${JSON.stringify(record, rounded, 2)}\n`)
    await rename(temporary, path)
    return path
  } catch (cause) {
    throw new ForerunError("E_IO", `cannot write ${wanted}: ${(cause as Error).message}`, { cause })
  }
}

/** The path, or with "-2", "-3" … the first that is nobody's; it is taken at once. */
async function freePath(wanted: string): Promise<string> {
  for (let number = 1; ; number++) {
    const path = number === 1 ? wanted : wanted.replace(/\.json$/, `-${number}.json`)
    try {
      await writeFile(path, "", { flag: "wx" })
      return path
    } catch (thrown) {
      if ((thrown as NodeJS.ErrnoException).code !== "EEXIST") throw thrown
    }
  }
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
