/** Another decoding engine, running in a process of its own, as the benchmark sees it. */

export interface PeerSettings {
  readonly model: string
  readonly threads: number
  /** Room for the longest prompt and what is decoded after it. */
  readonly contextSize: number
  readonly batchSize: number
  /** Sequences that run at the same time, each with a context of its own; default 1. */
  readonly sequences?: number
  readonly signal?: AbortSignal
}

export interface PeerTiming {
  /** From the request to the first new token: the prompt is read from nothing. */
  readonly prefillMs: number
  /** Between new tokens. */
  readonly tokenMs: readonly number[]
}

export interface PeerJobRequest {
  readonly tokens: readonly number[]
  /** Tokens to generate. */
  readonly count: number
}

/**
 * arrival: the next request takes the free slot that knows most of it, as llama.cpp's server does;
 * best: a free slot takes whichever waiting request it knows most of, as somebody would who knows the whole job.
 */
export type PeerPairing = "arrival" | "best"

export interface PeerJobTiming {
  readonly milliseconds: number
  /** Tokens of prompts that were not in a slot's cache. */
  readonly prefillTokens: number
  readonly decodeTokens: number
}

export interface PeerEngine {
  readonly version: string
  /** Reads the prompt into an empty cache and decodes greedily past any end-of-text, `count` tokens in all. */
  run(tokens: readonly number[], count: number): Promise<PeerTiming>
  /**
   * Answers all requests, as many at a time as there are slots; what a slot's cache holds of a prompt's beginning is not
   * read again. Caches are empty at first.
   */
  runJob(requests: readonly PeerJobRequest[], pairing: PeerPairing): Promise<PeerJobTiming>
  /** Milliseconds of processor time its process has used so far. */
  cpuMs(): Promise<number>
  stop(): Promise<void>
}
