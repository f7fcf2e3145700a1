/**
 * Makes a result record of what rank, race or audit printed with --json (the last line is its summary).
 * npx tsx scripts/record-evaluation.ts rank|race|audit <output.json> <name of the data> <model file> <threads> [key=number …]
 */
import { readFileSync } from "node:fs"
import { basename } from "node:path"
import type { EvaluationRecord } from "../src/bench/evaluation.ts"
import { describeMachine, describeSource } from "../src/bench/machine.ts"
import { resultsFolder, saveRecord } from "../src/bench/record.ts"

const [, , kind, output, data, model, threads, ...more] = process.argv
const summary = JSON.parse(readFileSync(output!, "utf8").trim().split("\n").at(-1)!)
const facts = Object.fromEntries(more.map((pair) => [pair.split("=")[0]!, Number(pair.split("=")[1])]))
const common = {
  ...describeSource(),
  machine: describeMachine(),
  model: { name: "SmolLM2-135M-Instruct", file: basename(model!), architecture: "llama" },
  weights: "q8" as const,
  threads: Number(threads),
  data: data!,
}
const isFlagged = ({ flagged }: { flagged: boolean }) => flagged
const made = {
  rank: () => ({ kind: "rank", ...common, summary }),
  race: () => ({ kind: "race", ...common, maxTokens: facts.maxTokens, summary }),
  audit: () => ({
    kind: "audit",
    ...common,
    threshold: summary.options.threshold,
    early: summary.options.early,
    scanned: summary.scanned,
    candidates: summary.candidates.length,
    flagged: summary.candidates.filter(isFlagged).length,
    seconds: facts.seconds,
  }),
}[kind as "rank" | "race" | "audit"]
console.log(await saveRecord(made() as EvaluationRecord, { folder: resultsFolder }))
