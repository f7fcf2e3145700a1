/** The benchmark: decoding methods against plain decoding, and Forerun against other engines. */
import { basename, resolve } from "node:path"
import { ForerunError } from "../base/errors.ts"
import { loadModel } from "../generate/load.ts"
import type { Model } from "../generate/model.ts"
import type { ModelInfo } from "../generate/types.ts"
import { loadContinuation } from "../methods/index.ts"
import { measureMethods, methodRows } from "./compare-methods.ts"
import { comparePeer } from "./compare-peer.ts"
import { guarded } from "./guarded.ts"
import { describeMachine, describeSource } from "./machine.ts"
import { ourSide } from "./our-side.ts"
import { startLlamaCpp } from "./peers/llama-cpp.ts"
import { defaultPrompts } from "./prompts.ts"
import {
  type BenchOptions,
  type BenchResult,
  type ModelSummary,
  type PeerName,
  type PeerRow,
  peerNames,
} from "./types.ts"

/** @throws E_OPTION, E_METHOD_NOT_FOUND, E_PEER, E_ABORTED, and what loading and generating throw */
export async function runBench(options: BenchOptions = {}): Promise<BenchResult> {
  const { signal } = options
  const methods = options.methods ?? ["autoregressive"]
  const repetitions = atLeast("repetitions", options.repetitions ?? 10, 1)
  const maxTokens = atLeast("maxTokens", options.maxTokens ?? 64, 2)
  const prompts = options.prompts ?? defaultPrompts
  if (methods.length > 0 && prompts.length === 0)
    throw new ForerunError("E_INPUT", "there is no prompt to measure with")
  for (const method of methods) await loadContinuation(method) // an unknown name is reported before anything is loaded
  const peers = options.peers ?? []
  for (const name of peers)
    if (!peerNames.includes(name))
      throw new ForerunError("E_OPTION", `there is no peer "${name}" (peers: ${peerNames.join(", ")})`)
  const tell = (stage: string) => (done: number, total: number) => options.onProgress?.({ stage, done, total })
  const model = await (options.openModel ?? (() => openModel(options)))()
  try {
    const measured =
      methods.length > 0
        ? await guarded(signal, () =>
            measureMethods(model, {
              methods,
              methodOptions: options.methodOptions,
              prompts,
              repetitions,
              maxTokens,
              signal,
              onProgress: tell("methods"),
            }),
          )
        : []
    const rows: PeerRow[] = []
    for (const name of peers)
      rows.push(await guarded(signal, () => againstPeer(name, model, options, repetitions, tell(name))))
    const { info } = model
    const drafts = measured.some(({ results }) => results[0]!.speculation !== undefined)
    const fresh = { fresh: true, ...(signal ? { signal } : {}) }
    const costCurve = options.costCurve || drafts ? await guarded(signal, () => model.costCurve(fresh)) : undefined
    return {
      kind: "bench",
      ...describeSource(),
      machine: describeMachine(),
      model: summary(info),
      weights: info.weights,
      threads: info.threads,
      repetitions,
      maxTokens,
      rows: methodRows(measured, costCurve),
      peers: rows,
      ...(costCurve ? { costCurve } : {}),
    }
  } finally {
    await model.dispose()
  }
}

export const summary = ({ name, path, architecture, adapter }: ModelInfo): ModelSummary => ({
  name: name ?? basename(path),
  file: basename(path),
  architecture,
  ...(adapter ? { adapter: `${adapter.method} ${adapter.sha256.slice(0, 8)}` } : {}),
})

/** A model as a measurement asks for it. */
export const openModel = ({
  model,
  weights,
  draft,
  draftWeights,
  part,
  adapter,
  threads,
  device,
  signal,
  offline,
}: BenchOptions): Promise<Model> =>
  loadModel(model, {
    ...(weights ? { weights } : {}),
    ...(draft ? { draft } : {}),
    ...(draftWeights ? { draftWeights } : {}),
    ...(part === undefined ? {} : { part }),
    ...(adapter === undefined ? {} : { adapter }),
    ...(threads === undefined ? {} : { threads }),
    ...(device ? { device } : {}),
    ...(signal ? { signal } : {}),
    ...(offline === undefined ? {} : { offline }),
  })

async function againstPeer(
  name: PeerName,
  model: Model,
  options: BenchOptions,
  repetitions: number,
  onProgress: (done: number, total: number) => void,
): Promise<PeerRow> {
  const { signal } = options
  const { path, kind, threads, config } = model.info
  if (kind !== "gguf") throw new ForerunError("E_PEER", `${name} reads GGUF files only; ${path} is a folder`)
  const contexts = (options.contexts ?? [128, 2048]).map((context) => atLeast("contexts", context, 2))
  if (contexts.length === 0) throw new ForerunError("E_OPTION", "contexts: at least one is needed")
  const prefillTokens = atLeast("prefillTokens", options.prefillTokens ?? 512, 2)
  const decodeTokens = atLeast("decodeTokens", options.decodeTokens ?? 32, 1)
  const longest = Math.max(prefillTokens, ...contexts)
  const contextSize = longest + decodeTokens + 1
  if (contextSize > config.context)
    throw new ForerunError(
      "E_CONTEXT_LENGTH",
      `${contextSize} positions exceed the model's context of ${config.context}`,
    )
  const tokens = await promptTokens(model, longest, options.text)
  const peer = await (options.startPeer ?? startPeer)(name, {
    model: resolve(path),
    threads,
    contextSize,
    batchSize: 512,
    ...(signal ? { signal } : {}),
  })
  try {
    return await comparePeer(ourSide(model, signal), peer, {
      name,
      tokens,
      prefillTokens,
      contexts,
      decodeTokens,
      repetitions,
      signal,
      onProgress,
    })
  } finally {
    await peer.stop()
  }
}

const startPeer: NonNullable<BenchOptions["startPeer"]> = (_name, settings) => startLlamaCpp(settings)

async function promptTokens(model: Model, count: number, text: string | undefined): Promise<readonly number[]> {
  if (text === undefined) {
    const { vocabulary, eosTokens } = model.info.config
    // Spread over the vocabulary; the low ids are often control tokens.
    const low = Math.min(1000, vocabulary >> 1)
    return Array.from({ length: count }, (_, i) => low + ((i * 7919) % (vocabulary - low))).map((id) =>
      eosTokens.includes(id) ? low : id,
    )
  }
  const tokens = await model.encodePrompt(text, { raw: true })
  if (tokens.length < count)
    throw new ForerunError("E_INPUT", `the text has ${tokens.length} tokens, ${count} are needed`)
  return Array.from(tokens.subarray(0, count))
}

function atLeast(name: string, value: number, low: number): number {
  if (Number.isInteger(value) && value >= low) return value
  throw new ForerunError("E_OPTION", `${name} must be an integer of at least ${low}; found ${String(value)}`)
}
