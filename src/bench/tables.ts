/** Tables from result records, for documents and reports. Of records of the same thing the newest counts. */
import type { JobResult } from "./job.ts"
import { type BenchRecord, measuredOf } from "./record.ts"
import type { Interval } from "./statistics.ts"
import type { BenchResult, BenchRow } from "./types.ts"

export interface Table {
  readonly head: readonly string[]
  readonly rows: readonly (readonly string[])[]
}

type OfKind<K extends BenchRecord["kind"]> = Extract<BenchRecord, { readonly kind: K }>

/**
 * The newest record of each thing measured.
 * @param thing what else keeps records apart, beside machine, model, format and threads
 */
export function newest<K extends BenchRecord["kind"]>(
  records: readonly BenchRecord[],
  kind: K,
  wanted: (record: OfKind<K>) => boolean = () => true,
  thing: (record: OfKind<K>) => unknown = () => undefined,
): OfKind<K>[] {
  const found = new Map<string, OfKind<K>>()
  for (const record of records) {
    if (record.kind !== kind || !wanted(record as OfKind<K>)) continue
    const { machine, model, weights, threads } = record as BenchRecord & { weights?: string; threads?: number }
    const other = thing(record as OfKind<K>)
    const key = JSON.stringify([machine.cpu, machine.cores, model.file, model.adapter, weights, threads, other])
    const known = found.get(key)
    if (!known || known.date <= record.date) found.set(key, record as OfKind<K>)
  }
  const order = (record: OfKind<K>) => {
    const { weights = "", threads = 0 } = record as { weights?: string; threads?: number }
    return `${weights} ${String(threads).padStart(4)}`
  }
  return [...found.values()].sort((a, b) => (order(a) < order(b) ? -1 : 1))
}

/** A table of records; where they come from several machines, each row says from which. */
function tableOf<R extends BenchRecord>(
  records: readonly R[],
  head: readonly string[],
  rowsOf: (record: R) => readonly (readonly string[])[],
): Table {
  const several = new Set(records.map(machineName)).size > 1
  const rows = records.flatMap((record) => rowsOf(record).map((row) => (several ? [machineName(record), ...row] : row)))
  return { head: several ? ["machine", ...head] : head, rows }
}

const machineName = ({ machine: { cpu, cores } }: BenchRecord) => `${cpu.replace(/ Processor$/, "")}, ${cores} cores`

const fixed = (digits: number) => (value: number) => value.toFixed(digits)
const rate = (value: number) => value.toFixed(value < 100 ? 1 : 0)
const range = ({ median, low, high }: Interval) => `${median.toFixed(2)} (${low.toFixed(2)} to ${high.toFixed(2)})`

export const withPeers = (records: readonly BenchRecord[]): BenchResult[] =>
  newest(records, "bench", ({ peers }) => peers.length > 0)

export function speedTable(records: readonly BenchRecord[]): Table {
  const head = ["weights", "threads", "work", "Forerun, tokens/s", "llama.cpp, tokens/s", "ratio (95 %)"]
  return tableOf(withPeers(records), head, ({ peers, weights, threads }) =>
    peers.flatMap((peer) => {
      const key = [weights, String(threads)]
      const { ours, prefillTokens, contexts } = peer
      return [
        ...contexts.map(({ context, tokensPerSecond, peerTokensPerSecond, ratio }) => [
          ...key,
          `decoding after ${context} tokens`,
          rate(tokensPerSecond),
          rate(peerTokensPerSecond),
          range(ratio),
        ]),
        [
          ...key,
          `reading ${prefillTokens} tokens`,
          rate(ours.prefillTokensPerSecond),
          rate(peer.prefillTokensPerSecond),
          range(peer.prefillRatio),
        ],
      ]
    }),
  )
}

/** Runs of methods beside plain decoding: each set of methods and tasks is a thing of its own. */
export const methodRuns = (records: readonly BenchRecord[]): BenchResult[] =>
  newest(records, "bench", ({ rows }) => new Set(rows.map(({ method }) => method)).size > 1, measuredOf)

export function methodSpeedTable(records: readonly BenchRecord[]): Table {
  const first = ["method", "category", "weights", "threads", "tokens/s", "mean accepted length", "passes", "rows"]
  const head = [...first, "speed-up (95 %)", "predicted", "loops"]
  return tableOf(methodRuns(records), head, (record) =>
    record.rows.map((row) => [
      row.method,
      row.category,
      record.weights,
      String(record.threads),
      rate(row.tokensPerSecond),
      row.meanAcceptedLength.toFixed(2),
      `${row.passes.target}${row.passes.draft > 0 ? ` + ${row.passes.draft}` : ""}`,
      row.targetRows === undefined ? "–" : String(row.targetRows), // older records lack it
      row.speedup ? range(row.speedup) : "–",
      row.predicted ? row.predicted.speedup.toFixed(2) : "–",
      row.loops === undefined ? "–" : `${(row.loops * 100).toFixed(0)} %`,
    ]),
  )
}

/** How drafts fared: share of rounds by accepted tokens, and by position, over all prompts of a method. */
export function acceptanceTable(records: readonly BenchRecord[]): Table {
  const drafts = draftingRows(records)
  const longest = Math.max(0, ...drafts.map(({ row }) => Math.min(mostPositions, row.speculation!.byPosition.length)))
  const rows = drafts.map(({ row: { method, speculation: one, published }, setting }) => [
    method,
    setting,
    String(one!.rounds),
    (one!.drafted / one!.rounds).toFixed(2),
    one!.meanAcceptedLength.toFixed(2),
    published ? `${published.meanAcceptedLength.toFixed(2)} (${published.name})` : "–",
    ...Array.from({ length: longest }, (_, i) => {
      const share = one!.byPosition[i]
      return share === undefined ? "–" : `${(share * 100).toFixed(0)} %`
    }),
  ])
  const head = ["method", "setting", "rounds", "drafted a round", "mean accepted length", "Spec-Bench's"]
  return { head: [...head, ...Array.from({ length: longest }, (_, i) => `token ${i + 1}`)], rows }
}

/** Further ones are in the result file. */
const mostPositions = 6

/** What was verified of each method: identical answers, bits of the logits. */
export function certificateTable(records: readonly BenchRecord[]): Table {
  const head = ["method", "promise", "weights", "identical answers", "tokens", "logits", "mean accepted length"]
  return tableOf(newest(records, "certificate"), head, ({ certificates, weights, maxTokens }) =>
    certificates.map(({ method, promise, prompts, differences, tokens, maxLogitDifference, ...one }) => [
      method,
      promise,
      weights,
      `${prompts - differences.length} of ${prompts}, up to ${maxTokens} tokens each`,
      String(tokens),
      maxLogitDifference === 0 ? "the same bits" : `up to ${maxLogitDifference.toExponential(1)}`,
      one.meanAcceptedLength.toFixed(2),
    ]),
  )
}

/** Of every method that drafts, its row over all prompts. */
export function draftingRows(records: readonly BenchRecord[]): { row: BenchRow; setting: string }[] {
  return methodRuns(records).flatMap((record) => {
    const { rows, weights, threads } = record
    const { tasks } = measuredOf(record)
    const over = tasks.length > 1 ? [`${tasks.length} tasks`] : tasks
    return rows
      .filter(({ category, speculation }) => category === "all" && speculation !== undefined)
      .map((row) => ({ row, setting: [weights, `${threads} threads`, ...over].join(", ") }))
  })
}

export function perplexityTable(records: readonly BenchRecord[]): Table {
  const head = ["model", "text", "weights", "perplexity", "against f32 (95 %)"]
  return tableOf(newest(records, "perplexity"), head, ({ rows: formats, text, model }) =>
    formats.map(({ weights, isChanged, perplexity, ratio, ratioInterval: { low, high } }) => [
      isChanged ? `${model.file} with ${model.adapter}` : model.file,
      `${text.name}, ${text.tokens} tokens`,
      weights,
      perplexity.toFixed(3),
      weights === "f32" && !isChanged ? "–" : `${percent(ratio)} (${percent(low)} to ${percent(high)})`,
    ]),
  )
}

export const percent = (ratio: number): string => `${ratio < 1 ? "−" : "+"}${(Math.abs(ratio - 1) * 100).toFixed(2)} %`

export function startUpTable(records: readonly BenchRecord[]): Table {
  const head = ["weights", "threads", "first time, s", "converted, s", "peak first time, MiB", "peak generating, MiB"]
  return tableOf(newest(records, "start-up"), head, ({ rows: formats, threads }) =>
    formats.map((row) => [
      row.weights,
      String(threads),
      fixed(2)(row.firstMs / 1000),
      fixed(2)(row.convertedMs / 1000),
      fixed(0)(row.firstPeakMiB),
      fixed(0)(row.generatingPeakMiB),
    ]),
  )
}

/** Both shares of "everything else", and the profiler's own cost that lies between them. */
export function profileTable(records: readonly BenchRecord[]): Table {
  const share = (value: number) => `${(value * 100).toFixed(0)} %`
  const first = ["weights", "threads", "context", "step, ms", "profiler adds, ms"]
  const head = [...first, "everything but products, by subtraction", "the same in the trace, uncorrected"]
  return tableOf(newest(records, "profile"), head, (one) => [
    [
      one.weights,
      String(one.threads),
      String(one.context),
      one.stepMs.toFixed(1),
      (one.profiledStepMs - one.stepMs).toFixed(1),
      `${share(one.otherShare)} (at most ${share(one.otherShareUpperBound)})`,
      share(one.profiledOtherShare),
    ],
  ])
}

export function costCurveTable(records: readonly BenchRecord[]): Table {
  const curves = newest(records, "bench", ({ costCurve }) => costCurve !== undefined)
  const sizes = [...new Set(curves.flatMap(({ costCurve }) => costCurve!.rows))].sort((a, b) => a - b)
  const head = ["weights", "threads", "ms of 1 row", ...sizes.map((size) => `${size} rows`)]
  return tableOf(curves, head, ({ weights, threads, costCurve: curve }) => {
    const [one] = curve!.milliseconds
    const cost = sizes.map((size) => {
      const at = curve!.rows.indexOf(size)
      return at < 0 ? "–" : (curve!.milliseconds[at]! / one!).toFixed(2)
    })
    return [[weights, String(threads), one!.toFixed(1), ...cost]]
  })
}

export function concurrencyTable(records: readonly BenchRecord[]): Table {
  const speed = ["tokens/s, own prompts", "to the first", "tokens/s, one prompt", "to the first"]
  const head = ["weights", "threads", "sequences", ...speed]
  return tableOf(newest(records, "concurrency"), head, ({ weights, threads, rows: counts }) => {
    const [one] = counts
    return counts.map(({ sequences, tokensPerSecond, sharedTokensPerSecond }) => [
      weights,
      String(threads),
      String(sequences),
      tokensPerSecond.toFixed(1),
      `${(tokensPerSecond / one!.tokensPerSecond).toFixed(2)} ×`,
      sharedTokensPerSecond.toFixed(1),
      `${(sharedTokensPerSecond / one!.sharedTokensPerSecond).toFixed(2)} ×`,
    ])
  })
}

/** One row a way of running the job; each job is a thing of its own. */
export const jobRecords = (records: readonly BenchRecord[]): JobResult[] =>
  newest(
    records,
    "job",
    () => true,
    ({ job }) => job,
  )

export function jobTable(records: readonly BenchRecord[]): Table {
  const rows = jobRecords(records).flatMap(
    ({ job, requests, groups, weights, threads, plannedTokens, rows: runs, repetitions }) =>
      runs.map(({ name, seconds, prefillTokens, decodeTokens, ratio }) => [
        `${job}: ${requests} requests, ${groups} prefixes`,
        weights,
        String(threads),
        name,
        fixed(1)(seconds),
        ratio ? (repetitions > 1 ? range(ratio) : ratio.median.toFixed(2)) : "–",
        `${prefillTokens}${prefillTokens === plannedTokens ? ", the optimum" : ""}`,
        String(decodeTokens),
      ]),
  )
  const head = ["job", "weights", "threads", "how", "seconds", "times as long (95 %)", "prompt tokens computed"]
  return { head: [...head, "generated"], rows }
}

/** Machine, date and commit of what the tables show, a line for each. */
export function provenance(records: readonly BenchRecord[]): string {
  const lines = records.map(({ machine, date, commit, version }) => {
    const { cpu, cores, node, onnxruntime } = machine
    const at = commit === undefined ? `version ${version}` : `commit ${commit}`
    return `${cpu}, ${cores} cores, Node ${node}, onnxruntime ${onnxruntime}; ${date.slice(0, 10)}, ${at}`
  })
  return [...new Set(lines)].join(" · ")
}

export function markdown({ head, rows }: Table): string {
  const row = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`
  return [row(head), `|${"---|".repeat(head.length)}`, ...rows.map(row)].join("\n")
}
