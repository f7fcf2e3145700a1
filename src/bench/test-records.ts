/** Records with made-up numbers, for tests of tables, files and the report. */

import type { ConcurrencyResult } from "./concurrency.ts"
import type { PerplexityResult } from "./perplexity.ts"
import type { ProfileResult } from "./profile.ts"
import type { StartUpResult } from "./start-up.ts"
import type { BenchResult } from "./types.ts"

const machine = {
  cpu: "Test <CPU> & Co",
  cores: 2,
  memoryGiB: 8,
  platform: "linux-x64",
  node: "20.20.2",
  onnxruntime: "1.30.0",
}
const model = { name: "Tiny", file: "tiny-model.gguf", architecture: "llama" }
const source = { date: "2026-01-02T03:04:05.000Z", commit: "0123456789ab", version: "0.1.0" }
const interval = (median: number) => ({ median, low: median * 0.9, high: median * 1.1 })

const drafted = {
  speculation: {
    rounds: 100,
    drafted: 300,
    accepted: 150,
    meanAcceptedLength: 2.5,
    histogram: [30, 25, 10, 35],
    byPosition: [0.7, 0.45, 0.35],
  },
  predicted: { speedup: 1.8, unmodelled: [] },
  published: { name: "Medusa-1", meanAcceptedLength: 2.31, source: "a leaderboard" },
}

export const benchRecord: BenchResult = {
  kind: "bench",
  ...source,
  machine,
  model,
  weights: "q8",
  threads: 2,
  repetitions: 10,
  maxTokens: 64,
  rows: ["autoregressive", "medusa"].flatMap((method, i) =>
    ["writing", "coding", "all"].map((category, j) => ({
      method,
      category,
      prompts: 4,
      tokens: 256,
      tokensPerSecond: 80 + 60 * i + 10 * j,
      meanAcceptedLength: 1 + 1.5 * i,
      passes: { target: 256 - 128 * i, draft: 128 * i },
      targetRows: 256 + 256 * i,
      loops: 0.25 * j,
      speedup: i === 0 ? { median: 1, low: 1, high: 1 } : interval(1.6 + j / 5),
      ...(i === 0 ? {} : drafted),
    })),
  ),
  peers: [
    {
      name: "llama.cpp",
      version: "node-llama-cpp 3.22.1, llama.cpp v0.5.0",
      tokensPerSecond: 80,
      prefillTokensPerSecond: 250,
      ratio: interval(1.5),
      prefillRatio: interval(1.7),
      prefillTokens: 512,
      ours: { tokensPerSecond: 120, prefillTokensPerSecond: 425 },
      contexts: [128, 2048].map((context, i) => ({
        context,
        tokensPerSecond: 120 - 60 * i,
        peerTokensPerSecond: 80 - 30 * i,
        ratio: interval(1.5 - 0.3 * i),
        tokenMs: 8.3 + 8 * i,
        peerTokenMs: 12.5 + 7 * i,
      })),
      timings: { prefillMs: 1204, peerPrefillMs: 2048 },
      idleLoad: { ours: 0.01, peer: 0.01 },
    },
  ],
  costCurve: { rows: [1, 2, 4, 8, 16, 32], milliseconds: [10, 11, 14, 20, 34, 60], context: 64 },
}

export const perplexityRecord: PerplexityResult = {
  kind: "perplexity",
  ...source,
  machine,
  model,
  text: { name: "valid.txt", sha256: "0".repeat(64), tokens: 1024 },
  rows: [
    { weights: "f32", perplexity: 12.5, meanNll: 2.5257, ratio: 1, ratioInterval: { median: 1, low: 1, high: 1 } },
    { weights: "q8", perplexity: 12.6, meanNll: 2.5337, ratio: 1.008, ratioInterval: interval(1.008) },
  ],
}

export const startUpRecord: StartUpResult = {
  kind: "start-up",
  ...source,
  machine,
  model,
  threads: 2,
  tokens: 64,
  rows: [
    {
      weights: "q8",
      firstMs: 2200,
      convertedMs: 880,
      firstPeakMiB: 423,
      convertedPeakMiB: 345,
      generatingPeakMiB: 365,
    },
  ],
}

export const profileRecord: ProfileResult = {
  kind: "profile",
  ...source,
  machine,
  model,
  weights: "q8",
  threads: 2,
  context: 128,
  steps: 64,
  stepMs: 10,
  profiledStepMs: 14,
  profilerMs: 4,
  nodes: 1000,
  profilerMsPerNode: 0.004,
  matrixMs: 8.2,
  otherMs: 1.8,
  otherShare: 0.18,
  otherShareUpperBound: 0.22,
  profiledOtherShare: 0.3,
  operators: [{ name: "MatMulNBits", calls: 121, milliseconds: 8.2 }],
}

export const concurrencyRecord: ConcurrencyResult = {
  kind: "concurrency",
  ...source,
  machine,
  model,
  weights: "q8",
  threads: 2,
  promptTokens: 256,
  tokens: 24,
  repetitions: 3,
  rows: [
    { sequences: 1, tokensPerSecond: 50, sharedTokensPerSecond: 50 },
    { sequences: 16, tokensPerSecond: 200, sharedTokensPerSecond: 250 },
  ],
}

export const records = [benchRecord, perplexityRecord, startUpRecord, profileRecord, concurrencyRecord]
