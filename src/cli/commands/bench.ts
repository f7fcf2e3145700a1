/** forerun bench: measures methods side by side, and against other engines. */
import { resultsFolder, saveRecord } from "../../bench/record.ts"
import { writeReport } from "../../bench/report/page.ts"
import { runBench } from "../../bench/run-bench.ts"
import type { BenchResult, PeerName } from "../../bench/types.ts"
import type { EngineFlags } from "../flags.ts"
import { catchInterrupt } from "../interrupt.ts"
import { type Output, usageError } from "../output.ts"
import { isBad, readPrompts } from "../prompts-file.ts"
import { readText } from "../read-text.ts"
import { table } from "../terminal.ts"

interface Flags extends EngineFlags {
  readonly methods?: readonly string[]
  readonly option?: Readonly<Record<string, string>>
  readonly prompts?: string
  readonly limit?: number
  readonly maxTokens?: number
  readonly repetitions?: number
  readonly peer?: readonly string[]
  readonly contexts?: readonly number[]
  readonly prefillTokens?: number
  readonly costCurve?: boolean
  readonly save?: boolean
  readonly report?: string
}

export async function bench(_: readonly unknown[], flags: Flags, output: Output) {
  const { option, prompts: file, limit, peer, save, report, json: __, debug: ___, device, ...same } = flags
  if (device === "webgpu") throw usageError("bench measures the cpu")
  if (limit !== undefined && file === undefined) throw usageError("--limit goes with --prompts")
  const methodOptions = option === undefined ? undefined : byMethod(option)
  const prompts = file === undefined ? undefined : await promptsOf(file, limit)
  const interrupt = catchInterrupt()
  let told = ""
  try {
    const result = await runBench({
      ...same,
      ...(methodOptions === undefined ? {} : { methodOptions }),
      ...(prompts === undefined ? {} : { prompts }),
      ...(peer === undefined ? {} : { peers: peer as PeerName[] }), // unknown names are refused there
      signal: interrupt.signal,
      onProgress({ stage, done, total }) {
        const line = `${stage}: ${Math.floor((done / Math.max(1, total)) * 10) * 10} %`
        if (line !== told) output.note(line)
        told = line
      },
    })
    if (save) output.note(`saved ${await saveRecord(result, { folder: resultsFolder })}`)
    if (report !== undefined) output.note(`report ${await writeReport([result], report)}`)
    if (output.json) output.object(result)
    else output.text(describeBench(result))
    return 0
  } finally {
    interrupt.release()
  }
}

async function promptsOf(file: string, limit: number | undefined) {
  return readPrompts(await readText(file), limit).map((line) => {
    if (isBad(line)) throw line.error // a measurement over other prompts than were asked for would mislead
    return line
  })
}

/** "medusa.width" = "3" as the option `width` of `medusa`. */
function byMethod(options: Readonly<Record<string, string>>): Record<string, Record<string, string>> {
  const sorted = new Map<string, [string, string][]>()
  for (const [key, value] of Object.entries(options)) {
    const at = key.indexOf(".")
    if (at < 1) throw usageError(`--option ${key}: bench needs method.key=value`)
    const method = key.slice(0, at)
    sorted.set(method, [...(sorted.get(method) ?? []), [key.slice(at + 1), value]])
  }
  return Object.fromEntries([...sorted].map(([method, pairs]) => [method, Object.fromEntries(pairs)]))
}

const speed = (value: number): string => value.toFixed(1)
const interval = (value: { median: number; low: number; high: number } | undefined): string =>
  value === undefined ? "–" : `${value.median.toFixed(2)} (${value.low.toFixed(2)} to ${value.high.toFixed(2)})`

function describeBench({ model, weights, threads, repetitions, rows, peers, costCurve }: BenchResult): string {
  const parts = [`${model.name} · weights ${weights} · threads ${threads} · ${repetitions} repetitions`]
  if (rows.length > 0) {
    const headings = ["method", "category", "prompts", "tokens", "tokens/s", "accepted", "passes", "speedup"]
    const cells = rows.map((row) => [
      row.method,
      row.category,
      `${row.prompts}`,
      `${row.tokens}`,
      speed(row.tokensPerSecond),
      row.meanAcceptedLength.toFixed(2),
      `${row.passes.target}${row.passes.draft > 0 ? ` + ${row.passes.draft}` : ""}`,
      interval(row.speedup),
    ])
    parts.push(table(headings, cells))
  }
  for (const peer of peers) {
    const decode = peer.contexts.map((row) => [
      `decode after ${row.context}`,
      speed(row.tokensPerSecond),
      speed(row.peerTokensPerSecond),
      interval(row.ratio),
    ])
    const prefill = [
      `prefill of ${peer.prefillTokens}`,
      speed(peer.ours.prefillTokensPerSecond),
      speed(peer.prefillTokensPerSecond),
      interval(peer.prefillRatio),
    ]
    parts.push(table(["tokens/s", "forerun", `${peer.name} ${peer.version}`, "ratio"], [...decode, prefill]))
  }
  if (costCurve) {
    const cells = costCurve.rows.map((rows, i) => {
      const milliseconds = costCurve.milliseconds[i]!
      return [`${rows}`, milliseconds.toFixed(2), (milliseconds / costCurve.milliseconds[0]!).toFixed(2)]
    })
    parts.push(table(["rows a pass", "ms", "cost"], cells))
  }
  return `${parts.join("\n\n")}\n`
}
