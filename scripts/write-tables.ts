/** Fills the generated regions of README.md and docs/benchmarks.md. With --check writes nothing, exits 1 when stale. */
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { draftsTable } from "../src/bench/drafts-tables.ts"
import {
  auditTable,
  hiddenTextTable,
  raceLengthsTable,
  raceTable,
  rankTable,
  sweepTable,
} from "../src/bench/evaluation-tables.ts"
import {
  adaptationTable,
  agreementTable,
  exitCostTable,
  exitSweepTable,
  exitTaskTable,
  timedExitTable,
} from "../src/bench/exits/exit-tables.ts"
import { exitTrace } from "../src/bench/exits/exit-trace.ts"
import { type LoadResult, loadPicture, loadTable, loadWords } from "../src/bench/load.ts"
import { placementMap } from "../src/bench/placement-map.ts"
import { choiceTable, placementTable } from "../src/bench/placement-tables.ts"
import { type BenchRecord, readRecords, resultsFolder } from "../src/bench/record.ts"
import { concurrencyChart } from "../src/bench/report/page.ts"
import { picture } from "../src/bench/report/picture.ts"
import { stoppingMap } from "../src/bench/stopping-map.ts"
import { reliabilityTable, stopGainTable, stopTable } from "../src/bench/stopping-tables.ts"
import {
  acceptanceTable,
  certificateTable,
  concurrencyTable,
  costCurveTable,
  jobRecords,
  jobTable,
  markdown,
  methodRuns,
  methodSpeedTable,
  newest,
  perplexityTable,
  profileTable,
  provenance,
  speedTable,
  startUpTable,
  type Table,
  withPeers,
} from "../src/bench/tables.ts"
import type { AnyMethod, Paper } from "../src/decoding/method.ts"
import { resolveOptions } from "../src/decoding/options.ts"
import { loadMethod, methodNames } from "../src/methods/index.ts"
import { readTrainingRecord, type TrainingRecord } from "../src/models/trained-part.ts"
import { plannedMethods } from "./planned-methods.ts"

const documents = ["README.md", "docs/benchmarks.md", "docs/serve.md", "docs/train-a-draft.md"]
/** Files of pictures, drawn from the newest record of a kind. */
const pictures: readonly [string, (records: readonly BenchRecord[]) => string | undefined][] = [
  ["docs/load.svg", (records) => newest(records, "load").slice(-1).map(loadPicture)[0]],
  ["docs/several-sequences.svg", drawConcurrency],
  ["docs/exits.svg", (records) => newest(records, "exits").slice(-1).map(exitTrace)[0]],
  ["docs/placement.svg", (records) => newest(records, "placement").slice(-1).map(placementMap)[0]],
  ["docs/stopping.svg", (records) => newest(records, "stopping").slice(-1).map(stoppingMap)[0]],
]

function drawConcurrency(records: readonly BenchRecord[]): string | undefined {
  const from = newest(records, "concurrency")
  return from.length === 0 ? undefined : picture("Speed by sequences", [concurrencyChart(from)])
}

export type Regions = Readonly<Record<string, string>>

/** Puts each region between its markers. @throws for a region nobody writes, and for markers that do not pair */
export function fillRegions(document: string, regions: Regions): string {
  const region = /<!-- generated:([a-z-]+) -->[\s\S]*?<!-- \/generated -->/g
  const opened = document.match(/<!-- generated:/g)?.length ?? 0
  const closed = document.match(/<!-- \/generated -->/g)?.length ?? 0
  let filled = 0
  const text = document.replace(region, (_, name: string) => {
    if (regions[name] === undefined) throw new Error(`no table is called "${name}"`)
    filled++
    return `<!-- generated:${name} -->\n${regions[name]}\n<!-- /generated -->`
  })
  if (filled !== opened || filled !== closed) throw new Error("markers of generated regions do not pair")
  return text
}

const nameOf = ({ method, setting }: { method: string; setting: string }) => `${method} ${setting}`

export async function makeRegions(records: readonly BenchRecord[]): Promise<Regions> {
  const curves = newest(records, "bench", ({ costCurve }) => costCurve !== undefined)
  const ranks = newest(records, "rank", undefined, ({ data }) => data)
  const races = newest(records, "race", undefined, ({ data }) => data)
  const signed = races.filter(({ summary }) => summary.lengths !== undefined)
  const audits = newest(records, "audit", undefined, ({ threshold, early, hidden }) => [
    threshold,
    early,
    hidden?.model,
  ])
  const hiding = audits.filter(({ hidden }) => hidden !== undefined)
  const drafts = newest(records, "drafts", undefined, ({ temperature, rows }) => [temperature, rows.map(nameOf)])
  const placements = newest(records, "placement", undefined, ({ method, device }) => [method, device])
  const stops = newest(records, "stopping", undefined, ({ method, row }) => [method, row])
  const exits = newest(records, "exits")
  return {
    weights: markdown(weightsTable(shipped)),
    "tiny-models": markdown(tinyModelsTable(shipped)),
    methods: markdown(methodsTable(await Promise.all(methodNames.map(loadMethod)))),
    "method-speed": measured(methodSpeedTable(records), methodRuns(records)),
    drafts: measured(draftsTable(drafts, curves.at(-1)?.costCurve), drafts),
    acceptance: measured(acceptanceTable(records), methodRuns(records)),
    certificates: measured(certificateTable(records), newest(records, "certificate")),
    speed: measured(speedTable(records), withPeers(records)),
    perplexity: measured(perplexityTable(records), newest(records, "perplexity")),
    "start-up": measured(startUpTable(records), newest(records, "start-up")),
    profile: measured(profileTable(records), newest(records, "profile")),
    placement: measured(placementTable(placements), placements),
    "placement-choices": measured(choiceTable(placements), placements),
    stopping: measured(stopTable(stops), stops),
    "stopping-gains": measured(stopGainTable(stops), stops),
    reliability: measured(reliabilityTable(stops), stops),
    "exit-agreement": measured(agreementTable(exits), exits),
    "exit-costs": measured(exitCostTable(exits), exits),
    "exit-sweep": measured(exitSweepTable(exits), exits),
    "exit-tasks": measured(exitTaskTable(exits), exits),
    "exit-timed": measured(timedExitTable(exits), exits),
    "exit-adaptation": measured(adaptationTable(exits), exits),
    concurrency: measured(concurrencyTable(records), newest(records, "concurrency")),
    load: measuredLoad(newest(records, "load")),
    rank: measured(rankTable(ranks), ranks),
    "rank-sweep": measured(sweepTable(ranks), ranks),
    race: measured(raceTable(races), races),
    "race-lengths": measured(raceLengthsTable(signed), signed),
    audit: measured(auditTable(audits), audits),
    "hidden-text": measured(hiddenTextTable(hiding), hiding),
    job: measured(jobTable(records), jobRecords(records)),
    "cost-curve": measured(costCurveTable(records), curves),
  }
}

const measuredLoad = (records: readonly LoadResult[]) => {
  const last = records.slice(-1)
  const [words] = last.map(loadWords)
  return words === undefined ? "Not measured yet." : `${measured(loadTable(last), last)}\n\n${words}`
}

const measured = (table: Table, from: readonly BenchRecord[]) =>
  from.length === 0 ? "Not measured yet." : `${markdown(table)}\n\nMeasured on ${provenance(from)}.`

/** What works today first, then what is planned, in the order of the plan. */
export function methodsTable(methods: readonly AnyMethod[]): Table {
  const works = methods.map((method) => [
    `\`${method.name}\``,
    worksToday(method),
    method.promise(resolveOptions(method)),
    Object.entries(method.needs)
      .map(([role, abilities]) => (abilities.length > 0 ? `${role}: ${abilities.join(", ")}` : role))
      .join("; "),
    cite(method.paper),
  ])
  const names = new Set(methods.map(({ name }) => name))
  const planned = plannedMethods.filter(({ name }) => !names.has(name))
  const rows = planned.map(({ name, promise, needs, paper }) => [`\`${name}\``, "planned", promise, needs, cite(paper)])
  return { head: ["method", "works today", "promise", "needs", "paper"], rows: [...works, ...rows] }
}

const shipped = fileURLToPath(new URL("../weights", import.meta.url))

const recordsIn = (folder: string) =>
  readdirSync(folder)
    .sort()
    .map((name) => ({ name, ...readTrainingRecord(join(folder, name)) }))

const megabytes = (file: string) => `${(statSync(file).size / 1e6).toFixed(1)} MB`

const lossesOf = ({ firstLoss, lastLoss }: TrainingRecord["metrics"]) =>
  [firstLoss, lastLoss].map((loss) => (loss === undefined ? "–" : loss.toFixed(2))).join(" → ")

/** The trained weights that come along, from their own records. */
export function weightsTable(folder: string): Table {
  const rows = recordsIn(folder).flatMap(({ name: recipe, target, recipe: settings, metrics, weights }) => {
    if (target === undefined) return []
    const { steps, stepsDone = steps, batch, length, seed } = settings
    const { firstLoss: _, lastLoss: __, loss: ___, ...found } = metrics
    const said = Object.entries(found).map(([name, value]) => `${name} ${value.toFixed(3)}`)
    return [
      [
        `[${recipe}](../weights/${recipe}/loss.svg)`,
        `${stepsDone} steps of ${batch} ${length ? `windows of ${length} tokens` : "rows"}, seed ${seed}`,
        lossesOf(metrics),
        said.join(", "),
        megabytes(join(folder, recipe, weights.file)),
        `\`${weights.sha256.slice(0, 12)}\``,
      ],
    ]
  })
  return { head: ["recipe", "training", "loss", "on held-out answers", "size", "sha256"], rows }
}

/** Models that recipes made whole. */
export function tinyModelsTable(folder: string): Table {
  const rows = recordsIn(folder).flatMap(({ name, method, target, recipe, metrics, weights }) => {
    if (target !== undefined) return []
    const { stepsDone, batch, seed, layers, hidden } = recipe
    return [
      [
        `[${name}](../weights/${name}/loss.svg)`,
        `\`${method}\``,
        `${layers} layers of ${hidden}`,
        `${stepsDone} steps of ${batch} lessons, seed ${seed}`,
        lossesOf(metrics),
        metrics.excess?.toFixed(3) ?? "–",
        megabytes(join(folder, name, weights.file)),
        `\`${weights.sha256.slice(0, 12)}\``,
      ],
    ]
  })
  return { head: ["model", "recipe", "size", "training", "loss", "excess, nats a token", "file", "sha256"], rows }
}

/** Methods with trained weights need a training first, unless weights for SmolLM2 come with the package. */
function worksToday({ part }: AnyMethod): string {
  if (part?.wanted || part === undefined) return "yes"
  return existsSync(fileURLToPath(new URL(`../weights/${part.recipe}`, import.meta.url)))
    ? "yes, with weights for SmolLM2"
    : "once trained"
}

function cite({ title, authors, year, arxiv, venue }: Paper): string {
  const link = arxiv === undefined ? title : `[${title}](https://arxiv.org/abs/${arxiv})`
  return `${authors} ${year}, ${link}${venue === undefined ? "" : `, ${venue}`}`
}

async function main(check: boolean): Promise<number> {
  const root = fileURLToPath(new URL("..", import.meta.url))
  const records = await readRecords(`${root}${resultsFolder}`)
  const regions = await makeRegions(records)
  let stale = 0
  for (const [file, draw] of pictures) {
    const drawn = draw(records)
    if (drawn !== undefined && !check) writeFileSync(`${root}${file}`, drawn)
  }
  for (const name of documents.filter((document) => existsSync(`${root}${document}`))) {
    const before = readFileSync(`${root}${name}`, "utf8")
    const after = fillRegions(before, regions)
    if (after === before) continue
    stale++
    if (check) console.error(`${name} is stale: npx tsx scripts/write-tables.ts`)
    else writeFileSync(`${root}${name}`, after)
  }
  return check && stale > 0 ? 1 : 0
}

if (process.argv[1] === fileURLToPath(import.meta.url)) process.exitCode = await main(process.argv.includes("--check"))
