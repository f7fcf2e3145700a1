/** SmolLM2-135M-Instruct against transformers: continuations, every layer of a probe, perplexity in each format. */
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { scoreTokens } from "../../src/generate/score.ts"
import type { WeightFormat } from "../../src/models/formats.ts"
import { createTokenizer } from "../../src/text/tokenizer.ts"
import {
  floats,
  full,
  type GoldenTensor,
  goldens,
  hasSmollm2,
  needsModels,
  readGolden,
  smollm2,
} from "../support/shared.ts"
import { greedy, largest, maxDifference, openRunner, range, type TestRunner } from "../support/tiny-runner.ts"

interface GreedyGolden {
  readonly prompts: {
    readonly prompt_ids: number[]
    readonly new_ids: number[]
    readonly steps: { readonly ids: number[]; readonly logits: number[] }[]
  }[]
}
interface ProbeGolden {
  readonly prompt_ids: number[]
  readonly logits_last: GoldenTensor
  readonly hidden_last: GoldenTensor[]
  readonly exit_argmax: number[]
}
interface PerplexityGolden {
  readonly first_ids: number[]
  readonly nll: GoldenTensor
  readonly perplexity_first_512: number
}

const shortest = 8
const steps = full ? 64 : 32

const neverAborted = new AbortController().signal
let perplexityInF32 = 0

async function firstPerplexity(opened: TestRunner): Promise<number> {
  const golden: PerplexityGolden = readGolden("smollm2-135m", "perplexity.json")
  const tokenizer = createTokenizer(opened.checkpoint.tokenizer!)
  const text = readFileSync(join(goldens, "..", "data", "wikitext2", "valid.txt"), "utf8").slice(0, 6000)
  const ids = tokenizer.encode(text).subarray(0, 512)
  expect(Array.from(ids.subarray(0, golden.first_ids.length))).toEqual(golden.first_ids)
  return (await scoreTokens(opened.runner, Int32Array.from(ids), { signal: neverAborted })).perplexity
}

describe.skipIf(!hasSmollm2)(`SmolLM2-135M in f32 ${needsModels}`, () => {
  let opened: TestRunner
  beforeAll(async () => {
    opened = await openRunner(smollm2)
  }, 120_000)
  afterAll(() => opened.dispose())

  test(`greedy continuations: ${full ? "all 20" : `the ${shortest} shortest of 20`} prompts, ${steps} tokens (FORERUN_FULL=1 takes all)`, async () => {
    const { prompts } = readGolden<GreedyGolden>("smollm2-135m", "greedy.json")
    const bySize = [...prompts].sort((a, b) => a.prompt_ids.length - b.prompt_ids.length)
    for (const prompt of full ? prompts : bySize.slice(0, shortest)) {
      const count = Math.min(steps, prompt.new_ids.length)
      const { tokens, logits } = await greedy(opened.runner, prompt.prompt_ids, count)
      expect(tokens).toEqual(prompt.new_ids.slice(0, count))
      const differences = logits.map((row, step) => {
        const { ids, logits: known } = prompt.steps[step]!
        return maxDifference(
          ids.map((id) => row[id]!),
          known,
        )
      })
      expect(Math.max(...differences)).toBeLessThan(1e-3)
    }
  }, 600_000)

  test("probe: logits, every layer's hidden state, and the argmax of every early exit", async () => {
    const golden: ProbeGolden = readGolden("smollm2-135m", "probe.json")
    const { runner } = opened
    const { layers } = runner.config
    const tokens = Int32Array.from(golden.prompt_ids)
    const hidden = [...range(layers), "final" as const]
    const pass = await runner.forward({ input: { tokens }, want: { logits: "last", hidden } })
    const last = (layer: number | "final") => pass.hidden.get(layer)!.data.subarray(-runner.config.hidden)
    expect(maxDifference(pass.logits!.data, floats(golden.logits_last))).toBeLessThan(1e-3)
    for (const [i, layer] of hidden.entries()) {
      const reference = floats(golden.hidden_last[i]!)
      const size = Math.max(1, ...reference.map(Math.abs)) // the residual stream grows into the thousands
      expect(maxDifference(last(layer), reference) / size).toBeLessThan(1e-4)
    }
    const exits: number[] = []
    for (let end = 1; end <= layers; end++) {
      const early = await runner.forward({ input: { tokens }, layers: [0, end], want: { logits: "last" } })
      exits.push(largest(early.logits!.data))
    }
    // The golden's first entry is the embedding, to which no layer has been applied.
    expect(exits).toEqual(golden.exit_argmax.slice(-layers))
  }, 120_000)

  test("perplexity of the first 512 tokens of WikiText-2", async () => {
    const golden: PerplexityGolden = readGolden("smollm2-135m", "perplexity.json")
    perplexityInF32 = await firstPerplexity(opened)
    expect(Math.abs(perplexityInF32 / golden.perplexity_first_512 - 1)).toBeLessThan(1e-3)
  }, 120_000)
})

const bounds: [WeightFormat, number][] = [
  ["as-is", 0.01],
  ["q8", 0.03],
]
describe.skipIf(!hasSmollm2).each(bounds)(`SmolLM2-135M in %s ${needsModels}`, (weights, bound) => {
  test(`perplexity of the first 512 tokens within ${bound * 100} % of float32's`, async () => {
    const golden: PerplexityGolden = readGolden("smollm2-135m", "perplexity.json")
    const opened = await openRunner(smollm2, weights)
    const perplexity = await firstPerplexity(opened)
    expect(Math.abs(perplexity / golden.perplexity_first_512 - 1)).toBeLessThan(bound)
    await opened.dispose()
  }, 120_000)
})
