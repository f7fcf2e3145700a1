/** What a benchmark is asked for and what it answers. Field names are part of the outward contract. */
import type { Model } from "../generate/model.ts"
import type { WeightFormat } from "../models/formats.ts"
import type { Placement } from "../runtime/devices.ts"
import type { ChatMessage } from "../text/chat-template.ts"
import type { Machine, Source } from "./machine.ts"
import type { PeerEngine, PeerSettings } from "./peers/peer.ts"
import type { Published } from "./published.ts"
import type { PooledSpeculation } from "./speculation.ts"
import type { Interval } from "./statistics.ts"

export type PeerName = "llama.cpp"
export const peerNames: readonly PeerName[] = ["llama.cpp"]

/** As a prompts file gives it; of `turns` only the first is asked. */
export interface BenchPrompt {
  readonly id: string | number
  readonly category?: string
  /** The answer that is expected, for methods that draft from one. */
  readonly prediction?: string
  readonly prompt: { readonly text: string } | { readonly messages: ChatMessage[] } | { readonly turns: string[] }
}

export interface BenchOptions {
  /** A file, folder or name; default: SmolLM2. */
  readonly model?: string
  /** Default: plain decoding alone. Empty: only peers are compared. */
  readonly methods?: readonly string[]
  /** Options of single methods, by method name. */
  readonly methodOptions?: Readonly<Record<string, Readonly<Record<string, unknown>>>>
  readonly weights?: WeightFormat
  /** A model that drafts, for methods that need one, and its format. */
  readonly draft?: string
  readonly draftWeights?: WeightFormat
  /** Trained weights of the methods, as for loadModel. */
  readonly part?: string
  /** Changes of the model's weights, as for loadModel. */
  readonly adapter?: string
  readonly threads?: number
  /** Where what drafts runs; the target runs on the CPU. */
  readonly device?: Partial<Placement>
  /** Default: a few of our own. */
  readonly prompts?: readonly BenchPrompt[]
  /** Default 10. */
  readonly repetitions?: number
  /** New tokens a prompt, default 64. */
  readonly maxTokens?: number
  readonly peers?: readonly PeerName[]
  /** Prompt lengths after which decoding is compared with peers, default 128 and 2,048. */
  readonly contexts?: readonly number[]
  /** Length of the prompt whose reading is timed, default 512. */
  readonly prefillTokens?: number
  /** Tokens decoded after each context, default 32. */
  readonly decodeTokens?: number
  /** Text whose first tokens are the peers' prompts; default: fixed pseudo-random tokens. */
  readonly text?: string
  /** Measures cost(rows) too; always done for methods beside plain decoding, whose speed it explains. */
  readonly costCurve?: boolean
  readonly offline?: boolean
  readonly signal?: AbortSignal
  readonly onProgress?: (progress: BenchProgress) => void
  /** For tests: a peer and a model instead of the real ones. */
  readonly startPeer?: (name: PeerName, settings: PeerSettings) => Promise<PeerEngine>
  readonly openModel?: () => Promise<Model>
}

export interface BenchProgress {
  readonly stage: string
  readonly done: number
  readonly total: number
}

export interface BenchRow {
  readonly method: string
  /** "all": every prompt together. */
  readonly category: string
  readonly prompts: number
  /** New tokens of one repetition. */
  readonly tokens: number
  /** Of decoding, as `generate` reports it: medians over repetitions, summed over prompts. */
  readonly tokensPerSecond: number
  /** Tokens a verification, over all rounds of all prompts; plain decoding's is 1. */
  readonly meanAcceptedLength: number
  /** Of one repetition. */
  readonly passes: { readonly target: number; readonly draft: number }
  /** Rows that the target's passes took beside the prompts', of one repetition. */
  readonly targetRows: number
  /** Of methods that draft. */
  readonly speculation?: PooledSpeculation
  /** Share of answers that go round in circles: 12 tokens in a row that occur three times. Drafts are easy there. */
  readonly loops: number
  /** From the cost curve and the acceptance; `unmodelled` says what is left out when it is off by more than 10 %. */
  readonly predicted?: { readonly speedup: number; readonly unmodelled: readonly string[] }
  /** What Spec-Bench's leaderboard gives for the same method, all tasks together. */
  readonly published?: Published & { readonly source: string }
  /** Decoding speed over plain decoding's: a ratio of sums over prompts. Needs `autoregressive` among the methods. */
  readonly speedup?: Interval
  /** The same with reading the prompt included. */
  readonly wholeSpeedup?: Interval
}

export interface PeerRow {
  readonly name: PeerName
  readonly version: string
  /** The peer's, at the first context. */
  readonly tokensPerSecond: number
  readonly prefillTokensPerSecond: number
  /** Our decoding speed over the peer's at the first context. */
  readonly ratio: Interval
  readonly prefillRatio: Interval
  readonly prefillTokens: number
  readonly ours: { readonly tokensPerSecond: number; readonly prefillTokensPerSecond: number }
  readonly contexts: readonly ContextRow[]
  /** Medians in milliseconds. */
  readonly timings: { readonly prefillMs: number; readonly peerPrefillMs: number }
  /** Largest share of a core that the side not being timed used meanwhile. */
  readonly idleLoad: { readonly ours: number; readonly peer: number }
}

export interface ContextRow {
  readonly context: number
  readonly tokensPerSecond: number
  readonly peerTokensPerSecond: number
  readonly ratio: Interval
  /** Median milliseconds a token. */
  readonly tokenMs: number
  readonly peerTokenMs: number
}

export interface ModelSummary {
  readonly name: string
  readonly file: string
  readonly architecture: string
  /** Recipe and sha256 of the changes it ran with, "layerskip 1f3a9c04". */
  readonly adapter?: string
}

export interface BenchResult extends Source {
  readonly kind: "bench"
  readonly machine: Machine
  readonly model: ModelSummary
  readonly weights: WeightFormat
  readonly threads: number
  readonly repetitions: number
  /** New tokens a prompt at most; older records lack it. */
  readonly maxTokens?: number
  readonly rows: readonly BenchRow[]
  readonly peers: readonly PeerRow[]
  readonly costCurve?: {
    readonly rows: readonly number[]
    readonly milliseconds: readonly number[]
    readonly context: number
  }
}
