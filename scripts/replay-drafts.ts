/**
 * Policies of draft length on held-out answers, counted and not timed:
 * npx tsx scripts/replay-drafts.ts <target> <part> <answers.jsonl> [answers, default 40] [longest line, default 16]
 */
import { calibration, foreseen, recordAnswer } from "../src/bench/draft-lines.ts"
import { costPerToken, type DraftedAnswer, discardRate, replay, verificationRate } from "../src/bench/draft-replay.ts"
import { markdown } from "../src/bench/tables.ts"
import { type DraftBudget, fixedBudget } from "../src/decoding/draft-budget.ts"
import { createDraftLength } from "../src/decoding/draft-length.ts"
import { TrainedParts } from "../src/generate/trained-parts.ts"
import { type SpecdecPart, specdecPlusPlus } from "../src/methods/specdec-plus-plus/specdec-plus-plus.ts"
import { survivalBudget } from "../src/methods/specdec-plus-plus/stop-policy.ts"
import { openCheckpoint } from "../src/models/files/checkpoint.ts"
import { readPartRecord } from "../src/models/trained-part.ts"
import { findModel } from "../src/store/find.ts"
import { readAnswers } from "../src/train/answers.ts"

const [target, folder, file, count = "40", reach = "16"] = process.argv.slice(2)
if (target === undefined || folder === undefined || file === undefined) throw new Error("give target, part and answers")
const costs = [0.05, 0.1, 0.2]
const longest = Number(reach)

const checkpoint = openCheckpoint((await findModel(target, { offline: true })).path)
const parts = new TrainedParts({ checkpoint, threads: 2, folder })
const { head, draft } = (await parts.of(specdecPlusPlus))!.part as SpecdecPart
if (!draft) throw new Error("the part brings no draft model")
const memory = new WeakMap<Float32Array, number>()
const accepts = (hidden: Float32Array): number => {
  const known = memory.get(hidden) ?? head.accepts(hidden)
  memory.set(hidden, known)
  return known
}

const answers: DraftedAnswer[] = []
const { validation } = readAnswers([file], { vocabulary: checkpoint.config.vocabulary })
for (const known of validation.slice(0, Number(count))) answers.push(await recordAnswer(draft, known, longest))
await parts.dispose()
checkpoint.close()

type Policy = readonly [name: string, create: () => DraftBudget]
const lengths = Array.from({ length: longest }, (_, i): Policy => [`fixed ${i + 1}`, () => fixedBudget(i + 1)])
const thresholds = Array.from({ length: 20 }, (_, i) => (i + 0.5) / 20)
const heads = thresholds.flatMap((threshold) =>
  [1, 2].map(
    (shortest): Policy => [
      `head ${threshold.toFixed(3)}, from ${shortest}`,
      () => survivalBudget({ accepts }, { threshold, shortest, longest }),
    ],
  ),
)
const named = (policy: string, threshold = 0.4): Policy => [
  threshold === 0.4 ? policy : `${policy} ${threshold.toFixed(2)}`,
  () => createDraftLength(policy, { most: longest, threshold, cost: 0.1 }),
]
const confidences = thresholds.flatMap((threshold) => [named("confidence", threshold), named("cumulative", threshold)])

// Odd answers choose, even ones tell.
const chosenOn = answers.filter((_, i) => i % 2 === 1)
const toldOn = answers.filter((_, i) => i % 2 === 0)
const best = (policies: readonly Policy[], cost: number): Policy =>
  policies.reduce((a, b) =>
    costPerToken(replay(chosenOn, b[1]), cost) < costPerToken(replay(chosenOn, a[1]), cost) ? b : a,
  )
const rows: string[][] = []
for (const cost of costs) {
  const families: readonly [string, Policy, readonly DraftedAnswer[]][] = [
    ["best fixed length", best(lengths, cost), toldOn],
    ["best head", best(heads, cost), toldOn],
    [
      "head as served (0.7, from 2)",
      ["head 0.700, from 2", () => survivalBudget({ accepts }, { threshold: 0.7, shortest: 2, longest })],
      toldOn,
    ],
    ["best confidence rule", best(confidences, cost), toldOn],
    ["heuristic", named("heuristic"), toldOn],
    ["oracle", ["knows the answer", () => fixedBudget(longest)], toldOn.map(foreseen)],
  ]
  for (const [family, [name, create], on] of families) {
    const counts = replay(on, create)
    const [v, d] = [verificationRate(counts), discardRate(counts)]
    const shown = [v, d, 1 / costPerToken(counts, cost)].map((value) => value.toFixed(3))
    rows.push([cost.toFixed(2), family, name, ...shown])
  }
}
const outcomes = toldOn.flatMap((answer) =>
  Array.from({ length: answer.tokens - 1 }, (_, place) => answer.lineFrom(place)).flatMap(({ right, drafted }) =>
    // Token i is judged by the row that drafted the next; only behind right tokens is there an outcome.
    drafted.slice(1, right + 2).map(({ hidden }, i) => ({ predicted: accepts(hidden!), happened: right > i })),
  ),
)
const weight = Number(readPartRecord(folder).recipe.rejectWeight ?? 1)
const unweighted = outcomes.map(({ predicted, happened }) => ({
  predicted: (weight * predicted) / (weight * predicted + 1 - predicted),
  happened,
}))
console.log(
  `${answers.length} held-out answers, half to choose and half to tell; draft cost c in passes of the target\n`,
)
console.log(markdown({ head: ["c", "policy", "setting", "v", "d", "modelled speed-up"], rows }))
console.log(
  `\ncalibration error ${calibration(outcomes).error.toFixed(3)}, with the refusals' weight taken out ${calibration(unweighted).error.toFixed(3)}`,
)
for (const { predicted, happened, count: n } of calibration(unweighted).bins)
  console.log(`  said ${predicted.toFixed(2)}  came true ${happened.toFixed(2)}  (${n})`)
