/** The study of stopping as tables: the head beside every fixed length, what rules would gain, and how true the head speaks. */
import type { StoppingResult } from "./stopping.ts"
import type { AgainstFixed, StopComparison, StopGain } from "./stopping-policies.ts"
import type { Table } from "./tables.ts"

interface Part extends StopComparison {
  readonly name: string
}

const partsOf = (result: StoppingResult): Part[] => [{ name: nameOf(result), ...result }, ...result.worlds]
const nameOf = (result: StoppingResult): string =>
  `${result.method}, judged by the row that ${result.row}, ${asked(result)} answers`
const asked = ({ prompts }: StoppingResult): number => Object.values(prompts).reduce((sum, count) => sum + count, 0)

const signed = (value: number, digits = 3): string => `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(digits)}`

/** Whether the head discards fewer drafts than a fixed length at as many passes of the target. */
export function verdict({ head }: Pick<AgainstFixed, "head">): "yes" | "within chance" | "no" | "never so short" {
  if (head === undefined) return "never so short"
  if (head.less.low > 0) return "yes"
  return head.less.value > 0 ? "within chance" : "no"
}

/** One row for each fixed length, on the held-out answers and in each world. */
export function stopTable(records: readonly StoppingResult[]): Table {
  const rows = records.flatMap(partsOf).flatMap(({ name, against }) =>
    against.map((one) => {
      const { length, verified, discarded, head } = one
      const less = head && [head.less.value, head.less.low, head.less.high].map((value) => signed(-value))
      return [
        ...[name, `${length}`, verified.toFixed(3), discarded.toFixed(3), head?.discarded.toFixed(3) ?? "–"],
        less ? `${less[0]} (${less[2]} to ${less[1]})` : "–",
        verdict(one),
      ]
    }),
  )
  const head = ["drafts", "K", "v", "d", "head's d at the same v", "difference (95 %)", "head better"]
  return { head, rows }
}

/** What each family gains over the best fixed length at a cost of drafting, both chosen on other answers. */
export function stopGainTable(records: readonly StoppingResult[]): Table {
  const percent = (value: number) => `${signed(100 * value, 1)} %`
  const cell = ({ gain, settings }: StopGain) => {
    const at = settings.some((setting) => setting > 0) ? ` at ${[...new Set(settings)].join(", ")}` : ""
    const [value, low, high] = [gain.value, gain.low, gain.high].map((ratio) => percent(ratio - 1))
    return `${value} (${low} to ${high})${at}`
  }
  const parts = records.flatMap(partsOf)
  const families = [...new Set(parts.flatMap(({ gains }) => gains.map(({ family }) => family)))]
  const rows = parts.flatMap(({ name, gains }) =>
    [...new Set(gains.map(({ cost }) => cost))].map((cost) => {
      const here = gains.filter((one) => one.cost === cost)
      const cells = families.map((family) => here.filter((one) => one.family === family).map(cell)[0] ?? "–")
      return [name, `${cost}`, [...new Set(here[0]!.lengths)].join(", "), ...cells]
    }),
  )
  return { head: ["drafts", "cost of a draft pass", "best K", ...families], rows }
}

/** What the head says, by tenths, beside how often it comes true. */
export function reliabilityTable(records: readonly StoppingResult[]): Table {
  const rows = records.flatMap(({ calibration, row }) =>
    (["said", "unweighted"] as const).flatMap((kind) =>
      calibration[kind].bins.map(({ predicted, happened, count }) => [
        `row that ${row}`,
        kind === "said" ? "as it says" : "weight of refusals taken out",
        calibration[kind].error.toFixed(3),
        predicted.toFixed(2),
        happened.toFixed(2),
        `${count}`,
      ]),
    ),
  )
  return { head: ["judged by the", "head", "error (ECE)", "said", "came true", "tokens"], rows }
}
