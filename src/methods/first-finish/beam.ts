/** Beam search, the baseline: the likeliest few continuations, all extended at every step. No randomness. */
import { settleAll } from "../../base/settle.ts"
import type { Context, Prompt } from "../../decoding/method.ts"
import type { KvCache } from "../../runtime/kv-cache.ts"
import { logSumExp, topK } from "../../tensor/math.ts"

export interface BeamResult {
  readonly tokens: readonly number[]
  /** Sum of its tokens' log-probabilities. */
  readonly logprob: number
  readonly finished: boolean
  /** Steps that were made, and tokens decoded in all beams. */
  readonly sequentialTokens: number
  readonly totalTokens: number
}

interface Beam {
  readonly tokens: readonly number[]
  readonly logprob: number
  readonly cache: KvCache
  /** After its last token [vocabulary]. */
  readonly logits: Float32Array
}

type Finished = Pick<Beam, "tokens" | "logprob">

/** Ends when no running beam can still beat the best finished one by total log-probability. */
export async function beamSearch(prompt: Required<Prompt>, width: number, context: Context): Promise<BeamResult> {
  const { limits, signal } = context
  let beams: Beam[] = [{ tokens: [], logprob: 0, cache: prompt.read.cache.fork(), logits: prompt.read.logits }]
  let best: Finished | undefined
  let [steps, total] = [0, 0]
  try {
    while (beams.length > 0 && steps < limits.maxTokens && !signal.aborted) {
      const options = beams.flatMap((beam) => extensions(beam, width)).sort((a, b) => b.logprob - a.logprob)
      const running: typeof options = []
      for (const option of options.slice(0, width)) {
        if (!limits.stopIds.has(option.token)) running.push(option)
        else if (!best || option.logprob > best.logprob)
          best = { tokens: [...option.beam.tokens, option.token], logprob: option.logprob }
      }
      steps++
      total += Math.min(width, options.length)
      const bar = best?.logprob ?? Number.NEGATIVE_INFINITY
      beams = await extend(beams, running.filter(({ logprob }) => logprob > bar), context) // biome-ignore format: one thought
    }
    const result: Finished = best ?? beams[0] ?? { tokens: [], logprob: 0 }
    const { tokens, logprob } = result
    return { tokens, logprob, finished: best !== undefined, sequentialTokens: steps, totalTokens: total }
  } finally {
    for (const { cache } of beams) cache.dispose()
  }
}

interface Extension {
  readonly beam: Beam
  readonly token: number
  readonly logprob: number
}

function extensions(beam: Beam, width: number): Extension[] {
  const normaliser = logSumExp(beam.logits)
  const { ids, values } = topK(beam.logits, width)
  return Array.from(ids, (token, i) => ({ beam, token, logprob: beam.logprob + values[i]! - normaliser }))
}

/** Disposes the old beams' caches, whatever happens. */
async function extend(beams: readonly Beam[], chosen: readonly Extension[], context: Context): Promise<Beam[]> {
  const caches = chosen.map(({ beam }) => beam.cache.fork())
  for (const { cache } of beams) cache.dispose()
  try {
    return await settleAll(
      chosen.map(async ({ beam, token, logprob }, i) => {
        const cache = caches[i]!
        const input = { tokens: Int32Array.of(token) }
        const pass = await context.models.target.forward({ input, cache, want: { logits: "last" } })
        pass.keep([0])
        return { tokens: [...beam.tokens, token], logprob, cache, logits: pass.logits!.data }
      }),
    )
  } catch (thrown) {
    for (const cache of caches) cache.dispose()
    throw thrown
  }
}
