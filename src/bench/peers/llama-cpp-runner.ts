/** The process in which llama.cpp runs: loads a model, reads and decodes tokens on request, answers with times. */
import { fileURLToPath } from "node:url"
import type { PeerJobRequest, PeerJobTiming, PeerPairing, PeerSettings, PeerTiming } from "./peer.ts"

/** The parent forks this file by its path; importing it starts nothing. */
export const runnerFile = fileURLToPath(import.meta.url)

export type RunnerCall =
  | { readonly name: "load"; readonly module: string; readonly settings: Omit<PeerSettings, "signal"> }
  | { readonly name: "run"; readonly tokens: readonly number[]; readonly count: number }
  | { readonly name: "job"; readonly requests: readonly PeerJobRequest[]; readonly pairing: PeerPairing }
  | { readonly name: "cpu" }
  | { readonly name: "stop" }
export type RunnerRequest = RunnerCall & { readonly id: number }
export type RunnerReply =
  | { readonly id: number; readonly result: unknown }
  | { readonly id: number; readonly failure: string; readonly missing: boolean }

type Package = typeof import("node-llama-cpp")

interface Loaded {
  readonly version: string
  run(tokens: readonly number[], count: number): Promise<PeerTiming>
  job(requests: readonly PeerJobRequest[], pairing: PeerPairing): Promise<PeerJobTiming>
  stop(): Promise<void>
}

async function load(name: string, settings: Omit<PeerSettings, "signal">): Promise<Loaded> {
  const { threads, contextSize, batchSize, sequences = 1 } = settings
  // The name comes from the parent: a bundler would inline a package that it can see here.
  const { getLlama, getModuleVersion, LlamaLogLevel } = (await import(name)) as Package
  const llama = await getLlama({
    gpu: false,
    build: "never",
    maxThreads: threads,
    logLevel: LlamaLogLevel.error,
    progressLogs: false,
  })
  const model = await llama.loadModel({ modelPath: settings.model, gpuLayers: 0 })
  const context = await model.createContext({ contextSize, batchSize, threads: { min: threads }, sequences })
  const slots = Array.from({ length: sequences }, () => context.getSequence())
  const sequence = slots[0]!
  return {
    version: `${name} ${await getModuleVersion()}, llama.cpp ${llama.llamaCppRelease.release}`,
    async run(tokens, count) {
      await sequence.clearHistory()
      const prompt = tokens as unknown as Parameters<typeof sequence.evaluate>[0]
      const times: number[] = []
      let last = performance.now()
      for await (const _ of sequence.evaluate(prompt, { temperature: 0, yieldEogToken: true })) {
        const now = performance.now()
        times.push(now - last)
        last = now
        if (times.length === count) break
      }
      return { prefillMs: times[0]!, tokenMs: times.slice(1) }
    },
    job: (requests, pairing) => runJob(slots, requests, pairing),
    stop: () => llama.dispose(),
  }
}

type Slot = ReturnType<Awaited<ReturnType<import("node-llama-cpp").LlamaModel["createContext"]>>["getSequence"]>

async function runJob(
  slots: readonly Slot[],
  requests: readonly PeerJobRequest[],
  pairing: PeerPairing,
): Promise<PeerJobTiming> {
  for (const slot of slots) await slot.clearHistory()
  const free = new Set(slots)
  const waiting = requests.map(({ tokens, count }) => ({ prompt: tokens as never as Slot["contextTokens"], count }))
  let [prefillTokens, decodeTokens] = [0, 0]
  const begin = performance.now()
  async function answer(slot: Slot, { prompt, count }: (typeof waiting)[number]): Promise<void> {
    const kept = Math.min(slot.compareContextTokens(prompt).firstDifferentIndex, prompt.length - 1)
    await slot.eraseContextTokenRanges([{ start: kept, end: slot.nextTokenIndex }])
    prefillTokens += prompt.length - kept
    let done = 0
    for await (const _ of slot.evaluate(prompt.slice(kept), { temperature: 0, yieldEogToken: true }))
      if (++done === count) break
    decodeTokens += done
    free.add(slot)
    await next()
  }
  async function next(): Promise<void> {
    const running: Promise<void>[] = []
    while (free.size > 0 && waiting.length > 0) {
      const candidates = pairing === "arrival" ? waiting.slice(0, 1) : waiting
      const pairs = [...free].flatMap((slot) =>
        candidates.map((request) => ({
          slot,
          request,
          known: slot.compareContextTokens(request.prompt).firstDifferentIndex,
        })),
      )
      const { slot, request } = pairs.reduce((best, one) => (one.known > best.known ? one : best))
      free.delete(slot)
      waiting.splice(waiting.indexOf(request), 1)
      running.push(answer(slot, request))
    }
    await Promise.all(running)
  }
  await next()
  return { milliseconds: performance.now() - begin, prefillTokens, decodeTokens }
}

let loaded: Loaded | undefined

async function perform(call: RunnerCall): Promise<unknown> {
  switch (call.name) {
    case "load":
      loaded = await load(call.module, call.settings)
      return loaded.version
    case "run":
      return loaded!.run(call.tokens, call.count)
    case "job":
      return loaded!.job(call.requests, call.pairing)
    case "cpu": {
      const { user, system } = process.cpuUsage()
      return (user + system) / 1000
    }
    case "stop":
      await loaded?.stop()
      return undefined
  }
}

function serve(): void {
  const send = (reply: RunnerReply) => void process.send?.(reply)
  process.on("message", (request: RunnerRequest) => {
    perform(request)
      .then((result) => send({ id: request.id, result }))
      .catch((thrown: unknown) => {
        const code = (thrown as { code?: string }).code
        send({ id: request.id, failure: String(thrown), missing: code === "ERR_MODULE_NOT_FOUND" })
      })
  })
  process.on("SIGINT", () => {}) // Ctrl-C reaches the whole group; the parent decides
  process.on("disconnect", () => process.exit())
}

if (process.send && process.argv[1] === runnerFile) serve()
