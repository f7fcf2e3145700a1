/** Predicts methods' speed-up by task from recorded answers and a cost curve, without a model: npx tsx scripts/replay.ts --help */
import { readFileSync } from "node:fs"
import { parseArgs } from "node:util"
import {
  type RecordedAnswer,
  type ReplayedRound,
  type ReplaySummary,
  replay,
  summariseReplay,
} from "../src/bench/replay.ts"
import { markdown } from "../src/bench/tables.ts"
import { loadContinuation } from "../src/methods/index.ts"
import { openCheckpoint } from "../src/models/files/checkpoint.ts"
import type { CostCurve } from "../src/runtime/cost-curve.ts"
import { estimateCost } from "../src/runtime/cost-estimate.ts"
import { findModel } from "../src/store/find.ts"
import { createTokenizer } from "../src/text/tokenizer.ts"

const help = `npx tsx scripts/replay.ts --answers answers.jsonl [--methods auto,prompt-lookup] [--curve 1:1,2:1.07,8:1.5]
  --answers  lines of {"id", "source", "prompt": [ids], "answer": [ids]}, as forerun distil writes them
  --curve    what passes of so many rows cost; --believed the same as the method is told, default the same curve
             ("none": it knows none)
  --overhead share of a plain pass that each round takes besides, default 0.01
  --tokens   answers are cut to so many
  --only, --except  ids, separated by commas`

const { values } = parseArgs({
  options: {
    answers: { type: "string", multiple: true },
    methods: { type: "string", default: "prompt-lookup,auto" },
    curve: { type: "string", default: "1:1,2:1.07,3:1.14,4:1.2,6:1.35,8:1.5,12:2,16:2.5,24:3.4,32:4.4" },
    believed: { type: "string" },
    overhead: { type: "string", default: "0.01" },
    tokens: { type: "string" },
    only: { type: "string" },
    except: { type: "string" },
    model: { type: "string" },
    help: { type: "boolean" },
  },
})

function curveOf(text: string): CostCurve | undefined {
  if (text === "none") return undefined
  const pairs = text.split(",").map((pair) => pair.split(":").map(Number))
  return { rows: pairs.map(([rows]) => rows!), milliseconds: pairs.map(([, cost]) => cost!), context: 64 }
}

function chosen(): RecordedAnswer[] {
  const ids = (list: string | undefined) => new Set(list?.split(","))
  const [only, except] = [ids(values.only), ids(values.except)]
  return values
    .answers!.flatMap((path) => readFileSync(path, "utf8").split("\n"))
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as RecordedAnswer)
    .map((line) => ({ ...line, answer: line.answer.slice(0, Number(values.tokens ?? line.answer.length)) }))
    .filter(({ id }) => (values.only === undefined || only.has(`${id}`)) && !except.has(`${id}`))
}

async function main(): Promise<void> {
  const checkpoint = openCheckpoint((await findModel(values.model, { offline: true })).path)
  const tokenizer = createTokenizer(checkpoint.tokenizer!)
  const actual = estimateCost(curveOf(values.curve), new Map())
  const believed = estimateCost(curveOf(values.believed ?? values.curve), new Map())
  const answers = chosen()
  const rows: string[][] = []
  for (const name of values.methods.split(",")) {
    const method = await loadContinuation(name)
    const rounds: ReplayedRound[][] = []
    for (const answer of answers)
      rounds.push(await replay(method, answer, { config: checkpoint.config, tokenizer, believed }))
    const summary = (source: string, of: (answer: RecordedAnswer) => boolean) =>
      summariseReplay(
        source,
        rounds.filter((_, i) => of(answers[i]!)),
        { actual, overhead: Number(values.overhead) },
      )
    for (const source of new Set(answers.map((answer) => answer.source)))
      rows.push(
        cells(
          name,
          summary(source, (answer) => answer.source === source),
        ),
      )
    rows.push(
      cells(
        name,
        summary("all", () => true),
      ),
    )
  }
  checkpoint.close()
  const head = ["method", "task", "answers", "τ", "drafted a round", "speed-up", "lowest", "below 0.98"]
  console.log(markdown({ head, rows }))
}

const cells = (method: string, one: ReplaySummary) => [
  method,
  one.source,
  `${one.answers}`,
  one.meanAcceptedLength.toFixed(2),
  one.draftedPerRound.toFixed(2),
  one.speedup.toFixed(3),
  one.worst.toFixed(3),
  `${one.below}`,
]

if (values.help || !values.answers) console.log(help)
else await main()
