/** Prompts that begin alike: what they share is read once, each reads on from there by itself. */
import { ForerunError } from "../base/errors.ts"
import type { KvCache } from "../runtime/kv-cache.ts"
import type { ModelRunner } from "../runtime/pass.ts"
import type { Prompt } from "./method.ts"
import { prefill } from "./prefill.ts"
import type { Step } from "./step.ts"

/**
 * @param shared holds the first tokens of the prompt and is not written; how many, says its length
 * @returns the prompt with its cache, which the caller disposes; undefined when `signal` was aborted before the end
 * @throws E_INPUT when nothing is left to read: the logits after the last token are in no cache
 */
export async function* readBehind(
  target: ModelRunner,
  shared: KvCache,
  tokens: Int32Array,
  signal: AbortSignal,
): AsyncGenerator<Step, Required<Prompt> | undefined> {
  if (shared.length >= tokens.length)
    throw new ForerunError(
      "E_INPUT",
      `a prompt of ${tokens.length} tokens needs at least one behind the ${shared.length} that were read before`,
    )
  const cache = shared.fork()
  let isRead = false
  try {
    const logits = yield* prefill(target, cache, tokens.subarray(shared.length), { signal })
    if (!logits) return undefined
    isRead = true
    return { tokens, read: { cache, logits } }
  } finally {
    if (!isRead) cache.dispose()
  }
}
