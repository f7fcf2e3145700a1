/**
 * Makes a result record of what rank, race or audit printed with --json (the last line is its summary).
 * npx tsx scripts/record-evaluation.ts rank|race|audit <output.json> <name of the data> <model> <threads> [key=value …]
 * Keys: weights (default q8), maxTokens of a race, seconds of an audit.
 */
import { readFileSync } from "node:fs"
import { basename, resolve } from "node:path"
import type { EvaluationRecord } from "../src/bench/evaluation.ts"
import { describeMachine, describeSource } from "../src/bench/machine.ts"
import { resultsFolder, saveRecord } from "../src/bench/record.ts"
import { openCheckpoint } from "../src/models/files/checkpoint.ts"

const [, , kind, output, data, model, threads, ...more] = process.argv
const summary = JSON.parse(readFileSync(output!, "utf8").trim().split("\n").at(-1)!)
const facts = Object.fromEntries(more.map((pair) => pair.split("=") as [string, string]))
const checkpoint = openCheckpoint(model!)
const file = basename(resolve(model!))
const common = {
  ...describeSource(),
  machine: describeMachine(),
  model: { name: checkpoint.name ?? file, file, architecture: checkpoint.architecture },
  weights: facts.weights ?? "q8",
  threads: Number(threads),
  data: data!,
}
const isFlagged = ({ flagged }: { flagged: boolean }) => flagged
const made = {
  rank: () => ({ kind: "rank", ...common, summary }),
  race: () => ({ kind: "race", ...common, maxTokens: Number(facts.maxTokens), summary }),
  audit: () => ({
    kind: "audit",
    ...common,
    threshold: summary.options.threshold,
    early: summary.options.early,
    scanned: summary.scanned,
    candidates: summary.candidates.length,
    flagged: summary.candidates.filter(isFlagged).length,
    seconds: Number(facts.seconds),
  }),
}[kind as "rank" | "race" | "audit"]
console.log(await saveRecord(made() as EvaluationRecord, { folder: resultsFolder }))
checkpoint.close()
