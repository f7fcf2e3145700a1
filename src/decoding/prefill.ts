/** Reads a prompt into a cache in chunks that end where the cache's blocks end, so that abort waits for one chunk at most. */
import { blockSize } from "../models/builder.ts"
import type { KvCache } from "../runtime/kv-cache.ts"
import type { ForwardResult, ModelRunner, Want } from "../runtime/pass.ts"
import type { Step } from "./step.ts"

export interface PrefillOptions {
  readonly signal: AbortSignal
  /** Hidden states that `onChunk` wants to see. */
  readonly hidden?: Want["hidden"]
  /** Told of each chunk that was read; `start` is its first token's index in `tokens`. */
  readonly onChunk?: (start: number, pass: ForwardResult) => void
}

/** @returns logits [vocabulary] after the last token, or undefined when `signal` was aborted before the end */
export async function* prefill(
  target: ModelRunner,
  cache: KvCache,
  tokens: Int32Array,
  { signal, hidden = [], onChunk }: PrefillOptions,
): AsyncGenerator<Step, Float32Array | undefined> {
  let logits: Float32Array | undefined
  for (let start = 0; start < tokens.length; ) {
    if (signal.aborted) return undefined
    const end = Math.min(tokens.length, start + blockSize - (cache.length % blockSize))
    const isLast = end === tokens.length
    const pass = await target.forward({
      input: { tokens: tokens.subarray(start, end) },
      cache,
      want: { logits: isLast ? "last" : "none", hidden },
    })
    pass.keep(Array.from({ length: end - start }, (_, row) => row))
    onChunk?.(start, pass)
    if (tokens.length > blockSize) yield { type: "prompt-read", tokens: end, total: tokens.length }
    logits = pass.logits?.data
    start = end
  }
  return signal.aborted ? undefined : logits
}
