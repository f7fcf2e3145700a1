/** Real files: the golden folders, the golden GGUFs, SmolLM2, and GGUFs of every family made from the folders. */

import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import type { ModelConfig } from "../config.ts"
import type { WeightSource } from "../weights.ts"
import { checkpointHash, openCheckpoint } from "./checkpoint.ts"
import { canonicalName } from "./gguf-names.ts"
import { convertFolder, f32, type TestValue, text, u32, writeGguf } from "./test-gguf.ts"
import { goldens, hasShared, models, smollm2 } from "./test-paths.ts"

const FOLDERS = ["llama", "llama_tied_bias", "llama_rope_linear", "llama_rope_llama3", "llama_rope_yarn", "qwen2"]
FOLDERS.push("qwen3", "mistral_sliding", "gemma2", "gemma3", "phi3", "gpt2", "llada", "dream")

let scratch = ""
beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), "forerun-checkpoint-"))
})
afterAll(() => rmSync(scratch, { recursive: true, force: true }))

const bits = (values: Float32Array): Buffer => Buffer.from(values.buffer, values.byteOffset, values.byteLength)

function expectSameWeights(found: WeightSource, wanted: WeightSource): void {
  expect([...found.tensors.keys()].sort()).toEqual([...wanted.tensors.keys()].sort())
  for (const [name, { shape }] of wanted.tensors) {
    expect(found.tensors.get(name)?.shape, name).toEqual(shape)
    expect(bits(found.float32(name)).equals(bits(wanted.float32(name))), name).toBe(true)
  }
}

describe.skipIf(!hasShared)("openCheckpoint", () => {
  for (const folder of FOLDERS)
    it(`opens the ${folder} folder, with every tensor its config asks for`, () => {
      const checkpoint = openCheckpoint(join(goldens, folder))
      expect(checkpoint.kind).toBe("safetensors")
      expect(checkpoint.config.layer.length).toBe(checkpoint.config.layers)
      for (const { name, bytes } of checkpoint.weights.tensors.values())
        expect(checkpoint.weights.raw(name).length).toBe(bytes)
      checkpoint.close()
      expect(() => checkpoint.weights.raw("model.norm.weight")).toThrow(/closed/)
    })

  for (const file of hasShared ? readdirSync(join(goldens, "gguf")).filter((name) => name.endsWith(".gguf")) : [])
    it(`opens and dequantises ${file}`, () => {
      const checkpoint = openCheckpoint(join(goldens, "gguf", file))
      expect(checkpoint.architecture).toBe("llama")
      expect(checkpoint.tokenizer?.kind).toBe("gguf")
      for (const name of checkpoint.weights.tensors.keys())
        expect(checkpoint.weights.float32(name).every(Number.isFinite), name).toBe(true)
      checkpoint.close()
    })

  it("gives stories260K the same weights from safetensors and from GGUF, Q and K rows put back", () => {
    const folder = openCheckpoint(join(models, "stories260k"))
    const gguf = openCheckpoint(join(models, "stories260k/stories260K-f32.gguf"))
    expectSameWeights(gguf.weights, folder.weights)
    expect({ ...gguf.config, normEpsilon: 0 }).toEqual({ ...folder.config, normEpsilon: 0 })
    expect(gguf.license).toBe("mit")
    gguf.close()
    folder.close()
  })

  it("reads SmolLM2's header without its weights, and hashes the file", async () => {
    const checkpoint = openCheckpoint(smollm2)
    expect(checkpoint.weights.tensors.size).toBe(272)
    expect(checkpoint.config).toMatchObject({ layers: 30, hidden: 576, kvHeads: 3, vocabulary: 49_152, tiedHead: true })
    expect(checkpoint.license).toBe("apache-2.0")
    const golden = JSON.parse(readFileSync(join(goldens, "tokenizer/smollm2_chat.json"), "utf8"))
    expect(checkpoint.chatTemplate).toBe(golden.template)
    expect(await checkpointHash(checkpoint)).toBe("b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53")
    checkpoint.close()
  })
})

/** The keys llama.cpp's converter writes for a config. */
function metadataOf(config: ModelConfig, arch: string): (readonly [string, TestValue])[] {
  const own: (readonly [string, TestValue | undefined])[] = [
    ["block_count", u32(config.layers)],
    ["context_length", u32(config.context)],
    ["embedding_length", u32(config.hidden)],
    ["feed_forward_length", u32(config.intermediate)],
    ["attention.head_count", u32(config.heads)],
    ["attention.head_count_kv", u32(config.kvHeads)],
    ["attention.key_length", u32(config.headSize)],
    ["attention.value_length", u32(config.headSize)],
    [`attention.layer_norm_${arch === "gpt2" ? "" : "rms_"}epsilon`, f32(config.normEpsilon)],
    ["vocab_size", u32(config.vocabulary)],
    ["rope.freq_base", f32(config.layer.at(-2)?.rope?.base ?? 1)],
    ["attention.sliding_window", config.layer.some((each) => each.slidingWindow) ? u32(8) : undefined],
    ["attn_logit_softcapping", config.attentionSoftcap ? f32(config.attentionSoftcap) : undefined],
    ["final_logit_softcapping", config.logitSoftcap ? f32(config.logitSoftcap) : undefined],
  ]
  const all: (readonly [string, TestValue])[] = [["general.architecture", text(arch)]]
  for (const [key, value] of own) if (value !== undefined) all.push([`${arch}.${key}`, value])
  all.push(["tokenizer.ggml.bos_token_id", u32(1)], ["tokenizer.ggml.eos_token_id", u32(2)])
  if (config.padToken !== undefined) all.push(["tokenizer.ggml.padding_token_id", u32(config.padToken)])
  return all
}

const PARTS = ["attn_norm", "attn_q", "attn_k", "attn_v", "attn_qkv", "attn_output", "attn_q_norm", "attn_k_norm"]
PARTS.push("ffn_norm", "ffn_gate", "ffn_up", "ffn_down", "post_attention_norm", "post_ffw_norm")

/** Hugging Face's name back to GGUF's. */
function ggufName(arch: string, layers: number): (canonical: string) => string {
  const names = new Map<string, string>()
  const add = (name: string) => {
    const canonical = canonicalName(arch, name)
    if (canonical !== undefined) names.set(canonical, name)
  }
  for (const kind of ["weight", "bias"]) {
    for (const whole of ["token_embd", "position_embd", "output_norm", "output"]) add(`${whole}.${kind}`)
    for (let layer = 0; layer < layers; layer++) for (const part of PARTS) add(`blk.${layer}.${part}.${kind}`)
  }
  return (canonical) => names.get(canonical) ?? `unmapped.${canonical}`
}

describe.skipIf(!hasShared)("a GGUF made from a folder the way llama.cpp does it", () => {
  const families = { llama: "llama", llama_tied_bias: "llama", qwen2: "qwen2", qwen3: "qwen3" }
  const all = { ...families, mistral_sliding: "llama", gemma2: "gemma2", gemma3: "gemma3", phi3: "phi3", gpt2: "gpt2" }
  for (const [folder, arch] of Object.entries(all))
    it(`opens as the same model: ${folder}`, () => {
      const original = openCheckpoint(join(goldens, folder))
      const path = join(scratch, `${folder}.gguf`)
      const tensors = convertFolder(join(goldens, folder), ggufName(arch, 4))
      writeFileSync(path, writeGguf({ metadata: metadataOf(original.config, arch), tensors }).bytes)
      const gguf = openCheckpoint(path)
      if (!arch.startsWith("gemma")) expectSameWeights(gguf.weights, original.weights)
      else {
        expect([...gguf.weights.tensors.keys()].sort()).toEqual([...original.weights.tensors.keys()].sort())
        for (const name of original.weights.tensors.keys()) {
          const wanted = original.weights.float32(name)
          const errors = gguf.weights.float32(name).map((value, index) => Math.abs(value - wanted[index]!))
          expect(Math.max(...errors), name).toBeLessThan(name.endsWith("norm.weight") ? 1.3e-7 : 1e-30)
        }
      }
      const { config } = original
      const layer = folder === "gemma3" ? gguf.config.layer : config.layer // the golden's pattern is not 5 to 1
      const queryScale = folder === "gemma2" ? gguf.config.queryScale : config.queryScale // nor its scale the usual
      const family = folder === "mistral_sliding" ? "llama" : config.family
      const normEpsilon = Math.fround(config.normEpsilon)
      expect(gguf.config).toEqual({ ...config, layer, queryScale, family, normEpsilon })
      gguf.close()
      original.close()
    })
})

describe("shards", () => {
  const config = () => JSON.parse(readFileSync(join(goldens, "llama/config.json"), "utf8")) as object
  it.skipIf(!hasShared)("are joined by the index", async () => {
    const original = openCheckpoint(join(goldens, "llama"))
    const { splitFolder } = await import("./test-safetensors.ts")
    const folder = splitFolder(original.weights, config(), scratch, 3)
    const joined = openCheckpoint(folder)
    expect(joined.files.length).toBe(3)
    expectSameWeights(joined.weights, original.weights)
    joined.close()
    original.close()
  })
})
