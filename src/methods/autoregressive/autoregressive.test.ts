/** Plain decoding keeps every law; and since it is the definition, its draws are checked number by number. */
import { expect, test } from "vitest"
import { methodContract } from "../../../test/method-contract.ts"
import { defaultPrompt, runMethod } from "../../../test/support/method-harness.ts"
import { tinyCheckpoint } from "../../../test/support/tiny-model.ts"
import { loadRunner } from "../../runtime/load-runner.ts"
import { autoregressive } from "./autoregressive.ts"

methodContract(autoregressive)

test("one step: a grid of uniform numbers gives each token its exact share", async () => {
  const tiny = { family: "llama", seed: 3, hidden: 32, heads: 2, kvHeads: 2, headSize: 16, layers: 2 } as const
  const checkpoint = tinyCheckpoint({ ...tiny, intermediate: 48, vocabulary: 8 })
  const target = await loadRunner(checkpoint, { weights: "f32", threads: 1, device: "cpu" })
  const pass = await target.forward({ input: { tokens: Int32Array.from(defaultPrompt) }, want: { logits: "last" } })
  const weights = Array.from(pass.logits!.data, (logit) => Math.exp(logit / 1.5))
  const total = weights.reduce((sum, weight) => sum + weight, 0)
  const size = 1000
  const counts = new Array<number>(8).fill(0)
  for (let i = 0; i < size; i++) {
    const random = { next: () => (i + 0.5) / size, fork: () => random }
    const { outcome } = await runMethod(
      autoregressive,
      { target },
      { random, maxTokens: 1, sampling: { temperature: 1.5 } },
    )
    counts[outcome.tokens[0]!.id]!++
  }
  // Each token owns an interval of numbers, so its share of the grid is off by at most one point.
  for (const [id, count] of counts.entries()) expect(Math.abs(count - (size * weights[id]!) / total)).toBeLessThan(1)
  await target.dispose()
})
