/** Forerun as one side of a comparison: through the public API, in the process and thread a user would have. */
import { ForerunError } from "../base/errors.ts"
import type { Model } from "../generate/model.ts"
import type { Side } from "./compare-peer.ts"

export function ourSide(model: Model, signal?: AbortSignal): Side {
  // The peer decodes past the end of text too; a banned token costs nothing measurable.
  const logitBias = Object.fromEntries(model.info.config.eosTokens.map((id) => [id, -100]))
  return {
    async run(tokens, count) {
      const times: number[] = []
      let last = performance.now()
      const stream = model.stream(
        { tokens },
        { maxTokens: count, temperature: 0, logitBias, ...(signal ? { signal } : {}) },
      )
      for await (const step of stream) {
        if (step.type !== "tokens-committed") continue
        const now = performance.now()
        times.push(now - last)
        last = now
      }
      signal?.throwIfAborted()
      if (times.length !== count)
        throw new ForerunError("E_RUNTIME", `the model stopped after ${times.length} of ${count} tokens`, {
          hint: "take other prompt tokens: give a text file",
        })
      return { prefillMs: times[0]!, tokenMs: times.slice(1) }
    },
    cpuMs: async () => {
      const { user, system } = process.cpuUsage()
      return (user + system) / 1000
    },
  }
}
