/** Finds and opens the safetensors files of a Hugging Face folder, one or many. */

import { existsSync, realpathSync } from "node:fs"
import { basename, dirname, join } from "node:path"
import type { ModelConfig } from "../config.ts"
import type { TensorInfo, WeightSource } from "../weights.ts"
import { type FileSource, fileError, openFileSource } from "./file-source.ts"
import { formatError, shown, unsupportedError } from "./format-error.ts"
import { kindOf } from "./json.ts"
import { readSafetensorsHeader, type SafetensorsEntry } from "./safetensors.ts"
import { readJsonFile } from "./text-file.ts"
import { isPlain, type StoredTensor, transpose, viewWeights } from "./weight-view.ts"

const SINGLE = "model.safetensors"
const INDEX = "model.safetensors.index.json"
const MOST_SHARDS = 4096

/** @throws ForerunError E_MODEL_FORMAT, E_MODEL_UNSUPPORTED, E_MODEL_NOT_FOUND, E_IO */
export function openSafetensorsFolder(folder: string, config: ModelConfig): { weights: WeightSource; files: string[] } {
  const index = existsSync(join(folder, SINGLE)) ? undefined : readIndex(folder)
  const names = index === undefined ? [SINGLE] : [...new Set(index.values())].sort()
  const sources: FileSource[] = []
  const tensors = new Map<string, StoredTensor>()
  try {
    for (const name of names) {
      const source = openFileSource(pathInside(folder, name))
      sources.push(source)
      for (const entry of readSafetensorsHeader(source).values()) {
        const stored = canonical(entry, source, config)
        const earlier = tensors.get(stored.info.name)
        if (earlier !== undefined)
          throw formatError(`tensor ${shown(stored.info.name)} is in both ${earlier.source.path} and ${source.path}`)
        const promised = index?.get(entry.name)
        if (index !== undefined && promised !== name)
          throw formatError(
            `${folder}: the index puts ${shown(entry.name)} in ${promised ?? "no file"}, found in ${name}`,
          )
        tensors.set(stored.info.name, stored)
      }
    }
    for (const [name, file] of index ?? [])
      if (!tensors.has(canonicalHfName(name, config.family)))
        throw formatError(`${folder}: the index promises ${shown(name)} in ${file}, which does not have it`)
  } catch (thrown) {
    for (const source of sources) source.close()
    throw thrown
  }
  return { weights: viewWeights(tensors, sources), files: sources.map((source) => source.path) }
}

/** Tensor name to file name. */
function readIndex(folder: string): Map<string, string> {
  const path = join(folder, INDEX)
  const map = readJsonFile(path, formatError).get("weight_map")
  if (!(map instanceof Map)) throw formatError(`${path}: weight_map needs an object, found ${kindOf(map)}`)
  const index = new Map<string, string>()
  for (const [name, file] of map) {
    if (typeof file !== "string") throw formatError(`${path}: ${shown(name)} needs a file name, found ${kindOf(file)}`)
    // Windows separators and drive letters count too: the folder may be opened there.
    const plain = file !== "" && basename(file) === file && !/[\\/:\0]/.test(file) && file !== "." && file !== ".."
    if (!plain || !file.endsWith(".safetensors"))
      throw formatError(`${path}: needed the name of a .safetensors file in the same folder, found ${shown(file)}`)
    index.set(name, file)
  }
  if (new Set(index.values()).size > MOST_SHARDS) throw unsupportedError(`${path}: more than ${MOST_SHARDS} files`)
  return index
}

/**
 * A shard may be a link, as in Hugging Face's cache (snapshots/<commit>/x -> ../../blobs/<hash>), but only to inside
 * the folder or that model's own blobs.
 */
function pathInside(folder: string, name: string): string {
  const path = join(folder, name)
  try {
    const home = realpathSync(folder)
    const parent = dirname(realpathSync(path))
    const blobs = basename(dirname(home)) === "snapshots" ? join(dirname(dirname(home)), "blobs") : home
    if (parent !== home && parent !== blobs) throw formatError(`${path}: links to outside its folder`)
  } catch (thrown) {
    throw fileError(thrown, path)
  }
  return path
}

function canonical(entry: SafetensorsEntry, source: FileSource, config: ModelConfig): StoredTensor {
  const { type, bytes, offset } = entry
  const name = canonicalHfName(entry.name, config.family)
  const info: TensorInfo = { name, shape: entry.shape, type, bytes }
  const [rows, columns] = entry.shape
  // GPT-2's Conv1D keeps [in, out]; a Linear keeps [out, in].
  const turned = config.family === "gpt2" && /\.(c_attn|c_proj|c_fc)\.weight$/.test(name) && entry.shape.length === 2
  if (!turned || rows === undefined || columns === undefined) return { info, source, offset }
  const width = bytes / (rows * columns)
  if (!isPlain(type) || (width !== 4 && width !== 2)) return { info, source, offset }
  return { info: { ...info, shape: [columns, rows] }, source, offset, change: transpose(rows, columns, width) }
}

/** Checkpoints saved from the bare model lack the outer prefix (gpt2's own does). */
function canonicalHfName(name: string, family: string): string {
  if (family === "gpt2") return /^(h\.\d+|wte|wpe|ln_f)\./.test(name) ? `transformer.${name}` : name
  return /^(layers\.\d+|embed_tokens|norm)\./.test(name) ? `model.${name}` : name
}
