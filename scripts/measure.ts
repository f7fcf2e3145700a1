/** Takes every measurement that README.md and docs/benchmarks.md show: npx tsx scripts/measure.ts model.gguf text.txt */
import { readFileSync } from "node:fs"
import { measurePerplexity } from "../src/bench/perplexity.ts"
import { measureProfile } from "../src/bench/profile.ts"
import { type BenchRecord, readRecords, resultsFolder, saveRecord } from "../src/bench/record.ts"
import { writeReport } from "../src/bench/report/page.ts"
import { runBench } from "../src/bench/run-bench.ts"
import { measureStartUp } from "../src/bench/start-up.ts"

const [model, textFile, only = "perplexity,start-up,bench,profile"] = process.argv.slice(2)
if (model === undefined || textFile === undefined)
  throw new Error("usage: measure.ts <model.gguf> <text file> [what,…]")
const text = readFileSync(textFile, "utf8")
const repetitions = Number(process.env.REPETITIONS ?? 10)

const measurements: Record<string, () => Promise<BenchRecord[]>> = {
  perplexity: async () => [await measurePerplexity({ model, text, textFile, tokens: 2048 })],
  "start-up": async () => [await measureStartUp({ model, formats: ["q8", "as-is", "f32"], repetitions: 3 })],
  async bench() {
    const records: BenchRecord[] = []
    for (const threads of [2, 1])
      records.push(
        await runBench({ model, text, threads, repetitions, peers: ["llama.cpp"], weights: "q8", costCurve: true }),
      )
    return records
  },
  async profile() {
    const records: BenchRecord[] = []
    for (const threads of [1, 2]) records.push(await measureProfile({ model, weights: "q8", threads }))
    return records
  },
}
for (const what of only.split(",")) {
  const records = (await measurements[what]?.()) ?? []
  for (const record of records) process.stdout.write(`${await saveRecord(record, { folder: resultsFolder })}\n`)
}
await writeReport(await readRecords(resultsFolder), "bench/report")
