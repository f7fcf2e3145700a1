/** Another decoding engine, running in a process of its own, as the benchmark sees it. */

export interface PeerSettings {
  readonly model: string
  readonly threads: number
  /** Room for the longest prompt and what is decoded after it. */
  readonly contextSize: number
  readonly batchSize: number
  readonly signal?: AbortSignal
}

export interface PeerTiming {
  /** From the request to the first new token: the prompt is read from nothing. */
  readonly prefillMs: number
  /** Between new tokens. */
  readonly tokenMs: readonly number[]
}

export interface PeerEngine {
  readonly version: string
  /** Reads the prompt into an empty cache and decodes greedily past any end-of-text, `count` tokens in all. */
  run(tokens: readonly number[], count: number): Promise<PeerTiming>
  /** Milliseconds of processor time its process has used so far. */
  cpuMs(): Promise<number>
  stop(): Promise<void>
}
