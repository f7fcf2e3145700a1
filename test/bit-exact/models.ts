/** The random models on which bit-equality is tested: every family, groups 1 to 6, awkward sizes, every format. */
import { type WeightFormat, weightFormats } from "../../src/models/formats.ts"
import { loadRunner } from "../../src/runtime/load-runner.ts"
import type { SessionRunner } from "../../src/runtime/model-runner.ts"
import { type TinyModel, tinyCheckpoint } from "../support/tiny-model.ts"

const base = { hidden: 96, layers: 2, intermediate: 160, context: 512 }

const models: readonly TinyModel[] = [
  {
    ...base,
    family: "llama",
    seed: 1,
    heads: 4,
    kvHeads: 2,
    headSize: 32,
    vocabulary: 150,
    more: { attention_bias: true },
  },
  {
    ...base,
    family: "qwen2",
    seed: 2,
    hidden: 72,
    heads: 3,
    kvHeads: 1,
    headSize: 80,
    vocabulary: 131,
    intermediate: 101,
  },
  { ...base, family: "qwen3", seed: 3, heads: 2, kvHeads: 2, headSize: 64, vocabulary: 300 },
  { ...base, family: "gemma2", seed: 4, heads: 6, kvHeads: 2, headSize: 16, vocabulary: 110, window: 37, layers: 3 },
  { ...base, family: "gemma2", seed: 5, heads: 2, kvHeads: 1, headSize: 256, vocabulary: 128, window: 150 },
  {
    ...base,
    family: "gemma3_text",
    seed: 6,
    heads: 2,
    kvHeads: 2,
    headSize: 64,
    vocabulary: 120,
    window: 9,
    more: { query_pre_attn_scalar: 1 },
  },
  { ...base, family: "phi3", seed: 7, heads: 3, kvHeads: 3, headSize: 32, vocabulary: 222 },
  { ...base, family: "gpt2", seed: 8, heads: 4, kvHeads: 4, headSize: 24, vocabulary: 199 },
  { ...base, family: "mistral", seed: 9, heads: 6, kvHeads: 1, headSize: 16, vocabulary: 140, window: 200, layers: 3 },
  { ...base, family: "llama", seed: 10, heads: 3, kvHeads: 1, headSize: 32, vocabulary: 160, blocks: "Q4_0" },
  {
    ...base,
    family: "qwen3",
    seed: 11,
    heads: 4,
    kvHeads: 2,
    headSize: 16,
    hidden: 64,
    vocabulary: 180,
    blocks: "Q4_1",
  },
  {
    ...base,
    family: "llama",
    seed: 12,
    heads: 2,
    kvHeads: 1,
    headSize: 192,
    hidden: 128,
    vocabulary: 170,
    blocks: "Q8_0",
  },
]

export interface Case {
  readonly name: string
  readonly model: TinyModel
  readonly weights: WeightFormat
}

/** Every model in every format; a model without blocks is float32 as it is. */
export const cases: readonly Case[] = models.flatMap((model) =>
  weightFormats
    .filter((weights) => weights !== "as-is" || model.blocks !== undefined)
    .map((weights) => {
      const { family, heads, kvHeads, headSize, blocks } = model
      return {
        name: `${family} ${heads}/${kvHeads}×${headSize}${blocks ? ` ${blocks}` : ""} in ${weights}`,
        model,
        weights,
      }
    }),
)

/** One case for each model, the formats taken in turn: where the format is not the point. */
export const oneFormatEach: readonly Case[] = models.map((model, i) => {
  const own = cases.filter((one) => one.model === model)
  return own[i % own.length]!
})

/** @param merged whether its graph is made for several sequences at once */
export const openCase = ({ model, weights }: Case, threads = 2, merged = false): Promise<SessionRunner> =>
  loadRunner(tinyCheckpoint(model), { weights, threads, device: "cpu", merged })
