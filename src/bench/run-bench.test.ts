/** The benchmark on a fake model and a fake peer whose speeds are known. */
import { fileURLToPath } from "node:url"
import { expect, test } from "vitest"
import type { Model } from "../generate/model.ts"
import type { GenerateResult } from "../generate/types.ts"
import { measureMethods, methodRows } from "./compare-methods.ts"
import { comparePeer } from "./compare-peer.ts"
import { startLlamaCpp } from "./peers/llama-cpp.ts"
import type { PeerEngine } from "./peers/peer.ts"
import { runBench } from "./run-bench.ts"

const config = { context: 4096, vocabulary: 5000, eosTokens: [2] }
const info = { path: "/models/fake.gguf", kind: "gguf", architecture: "llama", config, weights: "q8", threads: 2 }
const pace: Record<string, number> = { autoregressive: 10, fast: 4 }

/** Decodes 8 tokens a prompt at its method's pace; the machine gets slower with every call. */
function fakeModel(asked: string[] = []): Model & { disposed: boolean } {
  let drift = 1
  let rows = 0
  const model = {
    info,
    disposed: false,
    async generate(prompt: string, { method = "autoregressive", maxTokens = 8 }) {
      asked.push(`${method}:${prompt}`)
      drift *= 1.001
      rows += method === "fast" ? 40 : 20
      const decodeMs = pace[method]! * (maxTokens - 1) * drift
      return {
        promptTokens: 5,
        tokens: Array.from({ length: maxTokens }, (_, i) => i),
        passes: { target: maxTokens, draft: method === "fast" ? 3 : 0 },
        timings: { loadMs: 0, prefillMs: 50 * drift, decodeMs, firstTokenMs: 50, tokensPerSecond: 0 },
        ...(method === "fast"
          ? { speculation: { rounds: 4, drafted: 8, accepted: 6, meanAcceptedLength: 2.5, histogram: [1, 0, 3] } }
          : {}),
      } as unknown as GenerateResult
    },
    async *stream(_: unknown, { maxTokens = 1 }) {
      for (let i = 0; i < maxTokens; i++)
        yield { type: "tokens-committed", branch: 0, positions: [i], tokens: [{ id: i }] }
      return {} as GenerateResult
    },
    ledger: async () => ({ rows }),
    async dispose() {
      model.disposed = true
    },
  }
  return model as unknown as Model & { disposed: boolean }
}

const prompts = ["a", "b", "c"].map((text, id) => ({ id, category: id < 2 ? "x" : "y", prompt: { text } }))

test("every repetition runs each prompt by every method, one right after the other", async () => {
  const asked: string[] = []
  const methods = ["autoregressive", "fast"]
  const measured = await measureMethods(fakeModel(asked), { methods, prompts, repetitions: 2, maxTokens: 8 })
  const round = prompts.flatMap(({ prompt }) => methods.map((method) => `${method}:${prompt.text}`))
  expect(asked).toEqual([...methods.map((method) => `${method}:a`), ...round, ...round]) // the first two warm up
  const rows = methodRows(measured)
  expect(rows.map(({ method, category, prompts: count }) => [method, category, count])).toEqual([
    ["autoregressive", "x", 2],
    ["autoregressive", "y", 1],
    ["autoregressive", "all", 3],
    ["fast", "x", 2],
    ["fast", "y", 1],
    ["fast", "all", 3],
  ])
  expect(rows[2]!.speedup).toEqual({ median: 1, low: 1, high: 1 })
  expect(rows[2]!.tokensPerSecond).toBeCloseTo(100, -1)
  const fast = rows[5]!
  expect(fast.speedup!.median).toBeCloseTo(2.5, 1)
  expect(fast.speedup!.low).toBeGreaterThan(2.4)
  expect(fast.wholeSpeedup!.median).toBeLessThan(fast.speedup!.median) // reading the prompt is not faster
  expect(fast).toMatchObject({ tokens: 24, meanAcceptedLength: 2.5, passes: { target: 24, draft: 9 } })
  expect([rows[2]!.targetRows, fast.targetRows]).toEqual([45, 105]) // without the prompts' five rows
  expect(fast.speculation).toMatchObject({ rounds: 12, drafted: 24, accepted: 18, histogram: [3, 0, 9] })
  expect(fast).not.toHaveProperty("predicted")
})

test("the cost curve and the acceptance predict a speed-up, and say what they left out when it is far off", async () => {
  const methods = ["autoregressive", "fast"]
  const measured = await measureMethods(fakeModel(), { methods, prompts, repetitions: 1, maxTokens: 8 })
  const last = (...milliseconds: number[]) => methodRows(measured, { rows: [1, 3], milliseconds, context: 64 }).at(-1)!
  const near = last(10, 10) // three rows for the price of one: 2.5 tokens a pass, as measured
  expect(near.predicted).toEqual({ speedup: 2.5, unmodelled: [] })
  const far = last(10, 20)
  expect(far.predicted!.speedup).toBe(1.25)
  expect(far.predicted!.unmodelled).toContain("passes of the draft model")
  expect(last(10, 10).speculation!.byPosition).toEqual([0.75, 0.75])
})

test("without plain decoding there is no speed-up to report", async () => {
  const measured = await measureMethods(fakeModel(), { methods: ["fast"], prompts, repetitions: 1, maxTokens: 8 })
  expect(methodRows(measured).every((row) => row.speedup === undefined)).toBe(true)
})

/** Takes turns with its other side; `slow` times slower. */
function fakeSide(name: string, slow: number, log: string[]): PeerEngine {
  let drift = 1
  return {
    version: `${name} 1.0`,
    async run(tokens, count) {
      log.push(`${name} ${tokens.length} ${count}`)
      drift *= 1.01
      const step = slow * drift * (tokens.length > 1000 ? 2 : 1)
      return { prefillMs: tokens.length * slow * drift, tokenMs: Array.from({ length: count - 1 }, () => step) }
    },
    runJob: async () => ({ milliseconds: 0, prefillTokens: 0, decodeTokens: 0 }),
    cpuMs: async () => 0,
    stop: async () => {},
  }
}

test("peers take turns, and who goes first alternates", async () => {
  const log: string[] = []
  const tokens = Array.from({ length: 2048 }, (_, i) => i)
  const row = await comparePeer(fakeSide("ours", 1, log), fakeSide("peer", 3, log), {
    name: "llama.cpp",
    tokens,
    prefillTokens: 512,
    contexts: [128, 2048],
    decodeTokens: 4,
    repetitions: 3,
    settleMs: 0,
  })
  expect(log.slice(0, 4)).toEqual(["ours 512 1", "peer 512 1", "ours 128 5", "peer 128 5"])
  expect(log.slice(6, 8)).toEqual(["peer 512 1", "ours 512 1"])
  expect(log).toHaveLength(2 * 3 * 4)
  expect(row.ratio.median).toBeCloseTo(3)
  expect(row.prefillRatio.low).toBeCloseTo(3)
  expect(row.contexts.map(({ context }) => context)).toEqual([128, 2048])
  expect(row.contexts[1]!.tokenMs / row.contexts[0]!.tokenMs).toBeCloseTo(2, 0)
  expect(row.tokensPerSecond).toBe(1000 / row.contexts[0]!.peerTokenMs)
  expect(row).toMatchObject({ name: "llama.cpp", version: "peer 1.0", idleLoad: { ours: 0, peer: 0 } })
})

test("the whole result, with its machine and source; model and peer are let go", async () => {
  const model = fakeModel()
  let stopped = false
  const result = await runBench({
    openModel: async () => model,
    startPeer: async (_, { contextSize, threads }) => {
      expect([contextSize, threads]).toEqual([32 + 4 + 1, 2])
      const stop = async () => {
        stopped = true
      }
      return { ...fakeSide("peer", 3, []), stop }
    },
    prompts,
    repetitions: 2,
    peers: ["llama.cpp"],
    contexts: [16],
    prefillTokens: 32,
    decodeTokens: 4,
  })
  expect(result).toMatchObject({
    kind: "bench",
    weights: "q8",
    threads: 2,
    model: { file: "fake.gguf" },
    repetitions: 2,
  })
  expect(result.machine.cores).toBeGreaterThan(0)
  expect(result.peers).toHaveLength(1)
  expect(JSON.parse(JSON.stringify(result))).toEqual(result)
  expect([model.disposed, stopped]).toEqual([true, true])
})

test.each([
  [{ repetitions: 0 }, "E_OPTION"],
  [{ maxTokens: 1.5 }, "E_OPTION"],
  [{ methods: ["no-such-method"] }, "E_METHOD_NOT_FOUND"],
  [{ peers: ["other" as "llama.cpp"] }, "E_OPTION"],
  [{ prompts: [] }, "E_INPUT"],
  [{ peers: ["llama.cpp" as const], contexts: [5000] }, "E_CONTEXT_LENGTH"],
  [{ signal: AbortSignal.abort() }, "E_ABORTED"],
])("refuses %o", async (options, code) => {
  const run = runBench({ openModel: async () => fakeModel(), prompts, repetitions: 1, ...options })
  await expect(run).rejects.toMatchObject({ code })
})

test("a missing peer package is E_PEER with the command that installs it", async () => {
  const settings = { model: fileURLToPath(import.meta.url), threads: 1, contextSize: 16, batchSize: 16 }
  const start = startLlamaCpp(settings, "no-such-package-anywhere")
  await expect(start).rejects.toMatchObject({ code: "E_PEER", hint: expect.stringContaining("npm install --no-save") })
})
