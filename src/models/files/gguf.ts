/** Opens a GGUF file: its settings and its tensors under canonical names. */

import type { ModelConfig } from "../config.ts"
import type { WeightSource } from "../weights.ts"
import { dequantise } from "./dequantise.ts"
import type { FileSource } from "./file-source.ts"
import { formatError, shown, unsupportedError } from "./format-error.ts"
import { configFromGguf, ggufArchitecture } from "./gguf-config.ts"
import { type GgufHeader, type GgufTensor, type GgufValue, readGgufHeader } from "./gguf-header.ts"
import { canonicalName } from "./gguf-names.ts"
import type { FrequencyFactors } from "./gguf-rope.ts"
import { minusOne, type StoredTensor, uninterleaveHeads, viewWeights } from "./weight-view.ts"

export interface OpenGguf {
  readonly architecture: string
  readonly config: ModelConfig
  readonly weights: WeightSource
  readonly metadata: ReadonlyMap<string, GgufValue>
}

/** Reads the header only. @throws ForerunError E_MODEL_FORMAT, E_MODEL_UNSUPPORTED, E_CONFIG, E_IO */
export function openGguf(source: FileSource): OpenGguf {
  const header = readGgufHeader(source)
  const { metadata } = header
  const parts = metadata.get("split.count")
  if (parts !== undefined && parts !== 0 && parts !== 1)
    throw unsupportedError(
      `${source.path}: one of ${String(parts)} parts of a split GGUF`,
      "Merge it: llama-gguf-split --merge.",
    )
  const architecture = ggufArchitecture(metadata, source.path)
  const config = configFromGguf(header, source.path, readFactors(header, source))
  return { architecture, config, weights: viewWeights(canonicalTensors(header, config, source), [source]), metadata }
}

/** The small tensors that are settings rather than weights. */
function readFactors(header: GgufHeader, source: FileSource): FrequencyFactors {
  const read = (name: string): number[] | undefined => {
    const tensor = header.tensors.get(name)
    if (tensor === undefined) return undefined
    if (tensor.type !== "F32" || tensor.bytes > 4 * 65_536)
      throw formatError(
        `${source.path}: ${name} needs at most 65536 F32 values, found ${tensor.bytes} bytes of ${tensor.type}`,
      )
    return [...dequantise("F32", source.read(tensor.offset, tensor.bytes), tensor.bytes / 4)]
  }
  const all = read("rope_freqs.weight") ?? read("blk.0.rope_freqs.weight")
  const long = read("rope_factors_long.weight") ?? read("blk.0.rope_factors_long.weight")
  const short = read("rope_factors_short.weight") ?? read("blk.0.rope_factors_short.weight")
  return {
    ...(all === undefined ? {} : { all }),
    ...(long === undefined ? {} : { long }),
    ...(short === undefined ? {} : { short }),
  }
}

function canonicalTensors(header: GgufHeader, config: ModelConfig, source: FileSource): Map<string, StoredTensor> {
  const tensors = new Map<string, StoredTensor>()
  for (const tensor of header.tensors.values()) {
    const name = canonicalName(config.family, tensor.name)
    if (name === undefined) continue
    if (tensors.has(name))
      throw formatError(`${source.path}: two tensors are ${name}; the second is ${shown(tensor.name)}`)
    const info = { name, shape: tensor.shape, type: tensor.type, bytes: tensor.bytes }
    const change = changeOf(tensor, name, config)
    tensors.set(name, { info, source, offset: tensor.offset, ...(change === undefined ? {} : { change }) })
  }
  return tensors
}

function changeOf(tensor: GgufTensor, name: string, config: ModelConfig): StoredTensor["change"] {
  const { family } = config
  const [, projection] = /\.self_attn\.([qk])_proj\./.exec(name) ?? []
  if (family === "llama" && projection !== undefined) {
    const heads = projection === "q" ? config.heads : config.kvHeads
    const rows = tensor.shape[0]!
    // A wrong number of rows is reported by validateWeights, with both shapes.
    return rows % (2 * heads) === 0 ? uninterleaveHeads(rows, heads) : undefined
  }
  if ((family === "gemma2" || family === "gemma3") && name.endsWith("norm.weight")) return minusOne(name, tensor.type)
  return undefined
}
