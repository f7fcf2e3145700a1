/** Early exits as tables: how often they are right, the sweep of fixed ones, DEL beside it, and how soon it follows a change. */
import type { Table } from "../tables.ts"
import type { Adaptation } from "./adaptation.ts"
import type { ExitsResult } from "./measure-exits.ts"
import type { CountedRow } from "./sweep.ts"
import { best } from "./sweep.ts"

/** What sets a record apart from the others: its model only where there are several. */
function namesOf(records: readonly ExitsResult[]): (record: ExitsResult) => string {
  const isOne = new Set(records.map(({ model }) => model.file)).size === 1
  return ({ model, weights, threads }) => {
    const changes = model.adapter ? `with ${model.adapter}` : "as it is"
    return [isOne ? changes : `${model.file} ${changes}`, weights, `${threads} threads`].join(", ")
  }
}
const percent = (share: number): string => `${(100 * share).toFixed(0)} %`
const isFixed = ({ options }: CountedRow): boolean => "exitLayer" in options

/** A row an exit, a column a model: with changes and without. */
export function agreementTable(records: readonly ExitsResult[]): Table {
  const named = namesOf(records)
  const exits = [...new Set(records.flatMap(({ agreement }) => agreement.map(({ exit }) => exit)))].sort(
    (a, b) => a - b,
  )
  const rows = exits.map((exit) => [
    `${exit}`,
    ...records.map(({ agreement }) => {
      const found = agreement.find((one) => one.exit === exit)
      return found ? percent(found.share) : "–"
    }),
  ])
  return { head: ["after layer", ...records.map(named)], rows }
}

/** What passes cost that a sweep is counted with. */
export function exitCostTable(records: readonly ExitsResult[]): Table {
  const named = namesOf(records)
  const rows = records.map((record) => {
    const { plain, steerable, layer, rest, shadowRows, shadow } = record.costs
    return [
      named(record),
      plain.toFixed(1),
      steerable.toFixed(1),
      layer[0]!.toFixed(3),
      rest[0]!.toFixed(2),
      (rest[0]! / layer[0]!).toFixed(1),
      shadowRows.map((count, i) => `${count}: ${shadow[i]!.toFixed(1)}`).join(", "),
    ]
  })
  const head = ["model", "plain step, ms", "on the graph that can leave early", "a layer", "head and pass", "in layers"]
  return { head: [...head, "shadow tokens, ms by rows"], rows }
}

/** Over all tasks: a row an exit, a column a length; speed beside plain decoding by time, and by layers. */
export function exitSweepTable(records: readonly ExitsResult[]): Table {
  const named = namesOf(records)
  const all = records.map((record) => ({
    record,
    rows: record.counted.filter(({ task }) => task === "all").filter(isFixed),
  }))
  const lengths = [...new Set(all.flatMap(({ rows }) => rows.map(({ options }) => Number(options.draftLength))))]
  const rows = all.flatMap(({ record, rows: counted }) => {
    const exits = [...new Set(counted.map(({ options }) => Number(options.exitLayer)))]
    return exits.map((exit) => [
      named(record),
      `${exit}`,
      ...lengths.map((length) => {
        const found = counted.find(({ options }) => options.exitLayer === exit && options.draftLength === length)
        return found ? `${found.speed.toFixed(2)} (${found.layerSpeed.toFixed(2)})` : "–"
      }),
    ])
  })
  return { head: ["model", "exit", ...lengths.map((length) => `${length} drafted`)], rows }
}

/** By task: the best fixed exit and length of the sweep, the one that is best over all tasks, and DEL with planned lengths. */
export function exitTaskTable(records: readonly ExitsResult[]): Table {
  const named = namesOf(records)
  const rows = records.flatMap((record) => {
    const tasks = [...new Set(record.counted.map(({ task }) => task))]
    return (["speed", "layerSpeed"] as const).flatMap((by) => {
      const fixed = (task: string) => record.counted.filter((row) => row.task === task && isFixed(row))
      const overall = best(fixed("all"), by).options
      const costs = by === "speed" ? "all" : "layers"
      return tasks.map((task) => {
        const found = best(fixed(task), by)
        const same = fixed(task).find(({ options }) => options === overall || isSame(options, overall))!
        const del = record.counted.find((row) => row.task === task && !isFixed(row) && row.options.costs === costs)!
        return [
          named(record),
          by === "speed" ? "time" : "layers",
          task,
          `${found[by].toFixed(2)} (exit ${found.options.exitLayer}, ${found.options.draftLength})`,
          same[by].toFixed(2),
          del[by].toFixed(2),
          (del[by] / Math.max(1, found[by])).toFixed(2),
          percent(del.shadowShare),
        ]
      })
    })
  })
  const head = ["model", "measured in", "task", "best fixed", "the fixed one best over all", "del, planned lengths"]
  return { head: [...head, "beside the best, plain decoding included", "time for shadow tokens"], rows }
}

const isSame = (a: CountedRow["options"], b: CountedRow["options"]) => JSON.stringify(a) === JSON.stringify(b)

/** What was really run, by turns with plain decoding. */
export function timedExitTable(records: readonly ExitsResult[]): Table {
  const named = namesOf(records)
  const rows = records.flatMap((record) =>
    record.timed.map(({ method, options, speed, tokens, drafted, plainShare, shadowShare }) => [
      named(record),
      [method, ...Object.entries(options).map(([key, value]) => `${key}=${value}`)].join(" "),
      speed ? `${speed.median.toFixed(2)} (${speed.low.toFixed(2)} to ${speed.high.toFixed(2)})` : "–",
      record.counted.find((row) => row.task === "all" && isSame(row.options, options))?.speed.toFixed(2) ?? "–",
      tokens.toFixed(2),
      drafted.toFixed(2),
      percent(plainShare),
      `${(100 * shadowShare).toFixed(1)} %`,
    ]),
  )
  const head = [
    "model",
    "method",
    "speed beside plain (95 %)",
    "counted",
    "tokens a round",
    "drafted",
    "rounds without a draft",
  ]
  return { head: [...head, "time for shadow tokens"], rows }
}

/** Rounds from a change of context until DEL drafts from the new best exit or a neighbour of it. */
export function adaptationTable(records: readonly ExitsResult[]): Table {
  const named = namesOf(records)
  const rounds = (value: number) => (value < 0 ? "never" : value.toFixed(0))
  const from = (name: string, { phases, delays }: Adaptation) =>
    delays.map(({ omega, phase, recorded, simulated, simulatedHigh }) => {
      const [before, after] = [phases[phase - 1]!, phases[phase]!]
      return [
        name,
        `${omega}`,
        `${before.name} (${before.best || "none"}) to ${after.name} (${after.best || "none"})`,
        rounds(recorded),
        `${rounds(simulated)} (${rounds(simulatedHigh)})`,
      ]
    })
  const own = records.flatMap((record) =>
    record.adaptation.delays.length > 0
      ? from(named(record), record.adaptation)
      : [[named(record), "–", "no exit pays in any part", "–", "–"]],
  )
  const known = records.slice(0, 1).flatMap(({ published }) => from("the published simulation's world", published))
  return {
    head: ["text", "omega", "change (best exit)", "rounds, del itself", "simulated: median (9 in 10)"],
    rows: [...own, ...known],
  }
}
