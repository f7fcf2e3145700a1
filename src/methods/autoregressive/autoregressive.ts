/** Plain decoding, one token a pass: the definition that every lossless method is held to. */
import { describeToken } from "../../decoding/logprobs.ts"
import type { Completion, Context, Method, Prompt } from "../../decoding/method.ts"
import { prefill } from "../../decoding/prefill.ts"
import type { Step, Token } from "../../decoding/step.ts"
import { createTokenHistory } from "../../decoding/token-history.ts"

export const autoregressive: Method = {
  name: "autoregressive",
  summary: "Plain decoding: one token a pass.",
  paper: {
    title: "A Neural Probabilistic Language Model",
    authors: "Bengio, Ducharme, Vincent, Jauvin",
    year: 2003,
    venue: "JMLR",
  },
  promise: () => "lossless",
  needs: { target: ["causal-cache"] },
  options: {},
  trained: false,
  run,
}

async function* run(prompt: Prompt, context: Context): AsyncGenerator<Step, Completion> {
  const { target } = context.models
  const { sampler, random, limits, signal, logprobs } = context
  const { read } = prompt
  const cache = read ? read.cache.fork() : target.openCache()
  const history = createTokenHistory(prompt.tokens)
  const tokens: Token[] = []
  try {
    const begin = read && !signal.aborted ? read.logits : undefined
    let logits = begin ?? (yield* prefill(target, cache, prompt.tokens, { signal }))
    while (logits) {
      const id = sampler.pick(logits, history, random)
      const token = describeToken(id, logits, logprobs)
      tokens.push(token)
      history.push(id)
      yield {
        type: "tokens-committed",
        branch: 0,
        positions: [prompt.tokens.length + tokens.length - 1],
        tokens: [token],
      }
      if (limits.stopIds.has(id)) return { tokens, reason: "stop" }
      if (tokens.length >= limits.maxTokens) return { tokens, reason: "length" }
      if (signal.aborted) break
      const pass = await target.forward({ input: { tokens: Int32Array.of(id) }, cache, want: { logits: "last" } })
      pass.keep([0])
      logits = pass.logits?.data
    }
    return { tokens, reason: "abort" }
  } finally {
    cache.dispose()
  }
}
