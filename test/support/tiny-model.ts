/** Seeded random models of every family: in memory, or as a folder with config.json, safetensors and a tokenizer. */
import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import type { Checkpoint } from "../../src/models/files/checkpoint.ts"
import { dequantise } from "../../src/models/files/dequantise.ts"
import { configError } from "../../src/models/files/format-error.ts"
import { configFromHf } from "../../src/models/files/hf-config.ts"
import { parseJsonObject } from "../../src/models/files/json.ts"
import { writeSafetensors } from "../../src/models/files/test-safetensors.ts"
import { expectedTensors } from "../../src/models/files/validate-weights.ts"
import type { TensorInfo, TensorType } from "../../src/models/weights.ts"

export interface TinyModel {
  readonly family: "llama" | "mistral" | "qwen2" | "qwen3" | "gemma2" | "gemma3_text" | "phi3" | "gpt2"
  readonly seed: number
  readonly hidden: number
  readonly heads: number
  readonly kvHeads: number
  readonly headSize: number
  readonly layers: number
  readonly intermediate: number
  readonly vocabulary: number
  readonly context?: number
  /** Sliding window, in the families that have one. */
  readonly window?: number
  /** Matrices in GGUF blocks of random bits instead of float32; inner sizes must be multiples of 32. */
  readonly blocks?: "Q4_0" | "Q4_1" | "Q8_0"
  /** More keys of config.json. */
  readonly more?: Readonly<Record<string, unknown>>
}

/** The model that methods are held to their contract with; tests of single methods take it too. */
export const contractModel: TinyModel = {
  family: "llama",
  seed: 77,
  hidden: 32,
  heads: 2,
  kvHeads: 1,
  headSize: 16,
  layers: 2,
  intermediate: 64,
  vocabulary: 40,
  context: 400,
}

/** Mulberry32: a test's own numbers, so that a change in the product's generator does not change the tests. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

export const integerFrom = (random: () => number, low: number, high: number): number =>
  low + Math.floor(random() * (high - low + 1))

export const randomTokens = (count: number, vocabulary: number, seed: number): number[] => {
  const random = seeded(seed)
  return Array.from({ length: count }, () => integerFrom(random, 0, vocabulary - 1))
}

export function configJson(model: TinyModel): Record<string, unknown> {
  const context = model.context ?? 512
  const common = { model_type: model.family, vocab_size: model.vocabulary, bos_token_id: 1, eos_token_id: 2 }
  if (model.family === "gpt2")
    return {
      ...common,
      n_embd: model.hidden,
      n_head: model.heads,
      n_layer: model.layers,
      n_inner: model.intermediate,
      n_positions: context,
      ...model.more,
    }
  return {
    ...common,
    hidden_size: model.hidden,
    num_attention_heads: model.heads,
    num_key_value_heads: model.kvHeads,
    num_hidden_layers: model.layers,
    intermediate_size: model.intermediate,
    head_dim: model.headSize,
    max_position_embeddings: context,
    sliding_window: model.window ?? null,
    ...(model.family.startsWith("gemma") ? { query_pre_attn_scalar: model.headSize } : {}),
    ...(model.family === "gemma3_text" ? { sliding_window_pattern: 2 } : {}),
    ...model.more,
  }
}

/** Larger than a trained model's, so that attention is peaked and a wrong bit shows. */
function randomValues(shape: readonly number[], name: string, random: () => number): Float32Array {
  const size = shape.reduce((n, dim) => n * dim, 1)
  const scale = shape.length === 1 ? 0.3 : name.includes("embed") || name.includes("wte") ? 1 : 2 / Math.sqrt(shape[1]!)
  const centre = /norm\.weight$|ln_.\.weight$/.test(name) ? 1 : 0
  return Float32Array.from({ length: size }, () => centre + (random() + random() + random() - 1.5) * scale)
}

const blockBytes = { Q4_0: 18, Q4_1: 20, Q8_0: 34 }

/** Blocks of random bits with a half-precision scale (and minimum) of ordinary size. */
function randomBlocks(type: "Q4_0" | "Q4_1" | "Q8_0", count: number, random: () => number): Uint8Array {
  const bytes = new Uint8Array((count / 32) * blockBytes[type])
  for (let at = 0; at < bytes.length; at += blockBytes[type]) {
    for (let i = 0; i < blockBytes[type]; i++) bytes[at + i] = Math.floor(random() * 256)
    // Exponents 2^-7 to 2^-4 for 4 bits, 2^-11 to 2^-8 for 8 bits; any sign, any fraction.
    const exponent = (type === "Q8_0" ? 4 : 8) + Math.floor(random() * 4)
    bytes[at + 1] = (bytes[at + 1]! & 0x83) | (exponent << 2)
    if (type === "Q4_1") bytes[at + 3] = (bytes[at + 3]! & 0x83) | ((exponent + 2) << 2)
  }
  return bytes
}

interface TinyTensor {
  readonly info: TensorInfo
  readonly raw: Uint8Array
}

function tensorsOf(model: TinyModel) {
  const config = configFromHf(
    parseJsonObject(JSON.stringify(configJson(model)), "config.json", configError),
    "tiny config.json",
  )
  const random = seeded(model.seed)
  const tensors = new Map<string, TinyTensor>()
  for (const [name, shape] of expectedTensors(config)) {
    const count = shape.reduce((n, dim) => n * dim, 1)
    const inBlocks = model.blocks !== undefined && shape.length === 2 && !name.includes("wpe")
    const type: TensorType = inBlocks ? model.blocks : "F32"
    const values = inBlocks ? undefined : randomValues(shape, name, random)
    const raw = values ? new Uint8Array(values.buffer) : randomBlocks(model.blocks!, count, random)
    tensors.set(name, { info: { name, shape, type, bytes: raw.length }, raw })
  }
  return { config, tensors }
}

export function tinyCheckpoint(model: TinyModel): Checkpoint {
  const { config, tensors } = tensorsOf(model)
  const find = (name: string): TinyTensor => {
    const found = tensors.get(name)
    if (!found) throw new Error(`the tiny model has no ${name}`)
    return found
  }
  return {
    path: `tiny ${model.family} ${model.seed}`,
    kind: model.blocks ? "gguf" : "safetensors",
    architecture: model.family,
    config,
    weights: {
      tensors: new Map([...tensors].map(([name, { info }]) => [name, info])),
      raw: (name) => find(name).raw,
      float32(name) {
        const { info, raw } = find(name)
        const count = info.shape.reduce((n, dim) => n * dim, 1)
        return dequantise(info.type, raw, count).slice()
      },
      close() {},
    },
    tokenizer: undefined,
    files: [], // so small that no converted copy is cached by their hash
    close() {},
  }
}

const turned = /\.(c_attn|c_proj|c_fc)\.weight$/

/** Writes the same model as a Hugging Face folder, tokenizer.json included when one is given. @returns the folder */
export function writeTinyFolder(model: TinyModel, folder: string, tokenizer?: object): string {
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, "config.json"), JSON.stringify(configJson(model)))
  if (tokenizer) writeFileSync(join(folder, "tokenizer.json"), JSON.stringify(tokenizer))
  const entries = [...tensorsOf(model).tensors.values()].map(({ info: { name, shape }, raw }) => {
    if (model.family !== "gpt2" || !turned.test(name)) return { name, dtype: "F32", shape, data: raw }
    // GPT-2's Conv1D keeps [in, out].
    const values = new Float32Array(raw.buffer)
    const [rows, columns] = [shape[0]!, shape[1]!]
    const stored = Float32Array.from(
      { length: values.length },
      (_, i) => values[(i % rows) * columns + Math.floor(i / rows)]!,
    )
    return { name, dtype: "F32", shape: [columns, rows], data: new Uint8Array(stored.buffer) }
  })
  writeFileSync(join(folder, "model.safetensors"), writeSafetensors(entries))
  return folder
}
