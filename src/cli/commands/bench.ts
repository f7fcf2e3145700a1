/** forerun bench: measures methods side by side and against other engines, and what a model costs by itself. */

import { writeText } from "../../base/write-text.ts"
import { measureConcurrency } from "../../bench/concurrency.ts"
import { readDraftSettings } from "../../bench/draft-settings.ts"
import { measureDrafts } from "../../bench/drafts.ts"
import { exitTrace } from "../../bench/exits/exit-trace.ts"
import { measureExits } from "../../bench/exits/measure-exits.ts"
import { guarded } from "../../bench/guarded.ts"
import { measureJob } from "../../bench/job.ts"
import { measurePerplexity } from "../../bench/perplexity.ts"
import { measurePlacement } from "../../bench/placement.ts"
import { placementMap } from "../../bench/placement-map.ts"
import { measureProfile } from "../../bench/profile.ts"
import { defaultPrompts } from "../../bench/prompts.ts"
import { type MeasuredRecord, resultsFolder, saveRecord } from "../../bench/record.ts"
import { writeReport } from "../../bench/report/page.ts"
import { runBench } from "../../bench/run-bench.ts"
import { measureStartUp } from "../../bench/start-up.ts"
import { measureStopping, stopsByHead } from "../../bench/stopping.ts"
import { stoppingMap } from "../../bench/stopping-map.ts"
import type { BenchProgress, BenchPrompt, PeerName } from "../../bench/types.ts"
import { loadContinuation } from "../../methods/index.ts"
import { findModel } from "../../store/find.ts"
import { readAnswers } from "../../train/answers.ts"
import { createReporter } from "../bench-progress.ts"
import { describeRecord } from "../describe-bench.ts"
import type { EngineFlags } from "../flags.ts"
import { catchInterrupt } from "../interrupt.ts"
import { type Output, usageError } from "../output.ts"
import { readTaskFiles, readText } from "../read-text.ts"

interface Flags extends EngineFlags {
  readonly methods?: readonly string[]
  readonly option?: Readonly<Record<string, string>>
  readonly prompts?: readonly string[]
  readonly limit?: number
  readonly predictionFile?: string
  readonly maxTokens?: number
  readonly repetitions?: number
  readonly peer?: readonly string[]
  readonly contexts?: readonly number[]
  readonly prefillTokens?: number
  readonly concurrency?: readonly number[]
  readonly job?: readonly string[]
  readonly costCurve?: boolean
  readonly perplexity?: string
  readonly method?: string
  readonly drafts?: string
  readonly temperature?: number
  readonly data?: readonly string[]
  readonly ratios?: readonly number[]
  readonly map?: string
  readonly exits?: boolean
  readonly trace?: string
  readonly startUp?: boolean
  readonly profile?: boolean
  readonly save?: boolean
  readonly report?: string
}

type Measurement = () => Promise<MeasuredRecord>

interface Watch {
  readonly signal: AbortSignal
  readonly onProgress: (progress: BenchProgress) => void
}

export async function bench(_: readonly unknown[], flags: Flags, output: Output) {
  if (flags.device !== undefined && flags.device.target !== "cpu") throw usageError("bench measures the cpu")
  for (const [name, value] of [
    ["--limit", flags.limit],
    ["--prediction-file", flags.predictionFile],
  ] as const)
    if (value !== undefined && flags.prompts === undefined) throw usageError(`${name} goes with --prompts`)
  for (const [name, value] of [
    ["--ratios", flags.ratios],
    ["--map", flags.map],
  ] as const)
    if (value !== undefined && flags.method === undefined) throw usageError(`${name} goes with --method`)
  for (const [name, value] of [
    ["--temperature", flags.temperature],
    ["--data", flags.data],
  ] as const)
    if (value !== undefined && flags.drafts === undefined) throw usageError(`${name} goes with --drafts`)
  if (flags.trace !== undefined && !flags.exits) throw usageError("--trace goes with --exits")
  const interrupt = catchInterrupt()
  const watch: Watch = { signal: interrupt.signal, onProgress: createReporter(output) }
  try {
    const records: MeasuredRecord[] = []
    for (const measure of await measurements(flags, watch)) {
      const record = await guarded(interrupt.signal, measure)
      records.push(record)
      if (flags.save) output.note(`saved ${await saveRecord(record, { folder: resultsFolder })}`)
      const map = mapOf(record)
      if (map !== undefined && flags.map !== undefined) {
        await writeText(flags.map, map)
        output.note(`map ${flags.map}`)
      }
      if (record.kind === "exits" && flags.trace !== undefined) {
        await writeText(flags.trace, exitTrace(record))
        output.note(`trace ${flags.trace}`)
      }
      if (output.json) output.object(record)
      else output.text(describeRecord(record))
    }
    if (flags.report !== undefined) output.note(`report ${await writeReport(records, flags.report)}`)
    return 0
  } finally {
    interrupt.release()
  }
}

function mapOf(record: MeasuredRecord): string | undefined {
  if (record.kind === "placement") return placementMap(record)
  return record.kind === "stopping" ? stoppingMap(record) : undefined
}

/** What the flags ask for. Methods and peers come last, and do not run when only other measurements are asked for. */
async function measurements(flags: Flags, watch: Watch): Promise<Measurement[]> {
  const wanted = [...(await modelMeasurements(flags, watch))]
  const { methods, peer, costCurve, prompts: files, option, method, exits, ...rest } = flags
  const expected = flags.predictionFile === undefined ? {} : { prediction: await readText(flags.predictionFile) }
  const prompts = files && (await readTaskFiles(files, flags.limit)).map((prompt) => ({ ...expected, ...prompt }))
  if (method !== undefined) {
    const { model, weights, part, threads, device, offline, maxTokens, repetitions, ratios } = rest
    const same = { model, weights, part, threads, device, offline, maxTokens, repetitions, ratios, prompts }
    const given = Object.fromEntries(Object.entries(same).filter(([, value]) => value !== undefined))
    const isStopping = stopsByHead(await loadContinuation(method))
    if (isStopping && ratios !== undefined) throw usageError("--ratios goes with a method that drafts on a device")
    const measure = isStopping ? measureStopping : measurePlacement
    wanted.push(() => measure({ ...given, ...watch, method }))
  }
  if (exits) {
    const { model, weights, adapter, threads, offline, maxTokens, repetitions } = rest
    const same = { model, weights, adapter, threads, offline, maxTokens, repetitions, prompts }
    const given = Object.fromEntries(Object.entries(same).filter(([, value]) => value !== undefined))
    wanted.push(() => measureExits({ ...given, ...watch }))
  }
  if (flags.drafts !== undefined) return [...wanted, await draftsMeasurement(flags.drafts, flags, { watch, prompts })]
  const hasPrompts = method === undefined && !exits ? files : undefined
  const asked = [methods?.length, flags.job ? undefined : peer, costCurve, hasPrompts]
  if (wanted.length > 0 && asked.every((flag) => flag === undefined || flag === 0)) return wanted
  const { model, weights, draft, draftWeights, part, adapter, threads, device, offline, maxTokens, repetitions } = rest
  const { contexts, prefillTokens } = rest
  const same = {
    model,
    weights,
    draft,
    draftWeights,
    part,
    adapter,
    threads,
    device,
    offline,
    maxTokens,
    repetitions,
    contexts,
    prefillTokens,
  }
  const given = Object.fromEntries(Object.entries(same).filter(([, value]) => value !== undefined))
  wanted.push(() =>
    runBench({
      ...given,
      ...watch,
      ...(methods ? { methods } : {}),
      ...(costCurve ? { costCurve } : {}),
      ...(option ? { methodOptions: byMethod(option) } : {}),
      ...(prompts ? { prompts } : {}),
      ...(peer ? { peers: peer as PeerName[] } : {}), // unknown names are refused there
    }),
  )
  return wanted
}

async function draftsMeasurement(
  file: string,
  flags: Flags,
  { watch, prompts = defaultPrompts }: { readonly watch: Watch; readonly prompts: readonly BenchPrompt[] | undefined },
): Promise<Measurement> {
  const { model, weights, threads, part, adapter, offline, maxTokens, temperature, methods, data = [] } = flags
  const all = readDraftSettings(await readText(file), file)
  const settings = methods ? all.filter(({ method }) => methods.includes(method)) : all
  if (settings.length === 0) throw usageError(`${file} has no setting of ${methods?.join() ?? "any method"}`)
  const engine = Object.entries({ model, weights, threads, part, adapter, offline, maxTokens, temperature })
  const given = Object.fromEntries(engine.filter(([, value]) => value !== undefined))
  const texts = data.length === 0 ? [] : readAnswers(data).training.map(({ prompt, answer }) => [...prompt, ...answer])
  return () => measureDrafts({ ...given, ...watch, settings, prompts, training: texts })
}

/** What a model costs by itself: perplexity by format, start-up, several sequences, and where a step's time goes. */
async function modelMeasurements(flags: Flags, watch: Watch): Promise<Measurement[]> {
  const {
    perplexity: textFile,
    startUp,
    profile,
    concurrency: sequences,
    model: name,
    weights,
    adapter,
    threads,
    repetitions,
    offline,
    job: jobs = [],
    peer,
  } = flags
  const some = { ...watch, ...(threads === undefined ? {} : { threads }) }
  const wanted: Measurement[] = []
  if (textFile !== undefined) {
    const text = await readText(textFile)
    wanted.push(() =>
      measurePerplexity({
        ...some,
        text,
        textFile,
        ...(name === undefined ? {} : { model: name }),
        ...(weights === undefined ? {} : { formats: [weights] }),
        ...(adapter === undefined ? {} : { adapter }),
        ...(offline === undefined ? {} : { offline }),
      }),
    )
  }
  if (sequences !== undefined)
    wanted.push(() =>
      measureConcurrency({
        ...some,
        sequences,
        ...(name === undefined ? {} : { model: name }),
        ...(weights === undefined ? {} : { weights }),
        ...(repetitions === undefined ? {} : { repetitions }),
        ...(offline === undefined ? {} : { offline }),
      }),
    )
  for (const file of jobs)
    wanted.push(() =>
      measureJob({
        ...some,
        file,
        ...(name === undefined ? {} : { model: name }),
        ...(weights === undefined ? {} : { weights }),
        ...(repetitions === undefined ? {} : { repetitions }),
        ...(offline === undefined ? {} : { offline }),
        ...(peer ? { peers: peer as PeerName[] } : {}),
      }),
    )
  if (!startUp && !profile) return wanted
  const { path: model } = await findModel(name, { signal: watch.signal, ...(offline === undefined ? {} : { offline }) })
  const again = repetitions === undefined ? {} : { repetitions }
  if (startUp)
    wanted.push(() =>
      measureStartUp({ ...some, ...again, model, formats: weights ? [weights] : ["q8", "as-is", "f32"] }),
    )
  if (profile) wanted.push(() => measureProfile({ ...some, model, ...(weights ? { weights } : {}) }))
  return wanted
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
