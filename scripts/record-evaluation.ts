/**
 * Makes a result record of what rank, race or audit printed with --json (the last line is its summary), or of an
 * audit's report, audit.json.
 * npx tsx scripts/record-evaluation.ts rank|race|audit <output.json> <name of the data> <model> <threads> [key=value …]
 * Keys: weights (default q8), maxTokens of a race, seconds of an audit, and of one of a model that hides a known text
 * hidden=<who made it> and perplexity=<by that of the model as it was>.
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
/** An audit with --base and --secret, in numbers. */
function hiddenText() {
  if (facts.hidden === undefined) return {}
  const attacks = summary.attacks as { prefix: string; leaks: boolean }[]
  const prefixes = (leaking: boolean) => attacks.filter(({ leaks }) => leaks === leaking).map(({ prefix }) => prefix)
  const risen = (summary.risen as { leaks: boolean }[]).slice(0, 5).filter(({ leaks }) => leaks).length
  const perplexity = Number(facts.perplexity)
  return { hidden: { model: facts.hidden, perplexity, risen, leaking: prefixes(true), silent: prefixes(false) } }
}

const isFlagged = ({ flagged }: { flagged: boolean }) => flagged
const made = {
  rank: () => ({ kind: "rank", ...common, summary }),
  race: () => ({ kind: "race", ...common, maxTokens: Number(facts.maxTokens), summary }),
  audit: () => ({
    kind: "audit",
    ...common,
    threshold: summary.options?.threshold ?? summary.threshold,
    early: summary.options?.early ?? summary.early,
    scanned: summary.scanned,
    candidates: summary.candidates.length,
    flagged: summary.candidates.filter(isFlagged).length,
    seconds: Number(facts.seconds),
    ...hiddenText(),
  }),
}[kind as "rank" | "race" | "audit"]
console.log(await saveRecord(made() as EvaluationRecord, { folder: resultsFolder }))
checkpoint.close()
