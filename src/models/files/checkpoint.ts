/** Opens a model on disk, a .gguf file or a Hugging Face folder, without reading its weights. */

import { createHash } from "node:crypto"
import { createReadStream, statSync } from "node:fs"
import { join } from "node:path"
import type { TokenizerSource } from "../../text/tokenizer.ts"
import type { ModelConfig } from "../config.ts"
import type { WeightSource } from "../weights.ts"
import { fileError, openFileSource } from "./file-source.ts"
import { configError, formatError } from "./format-error.ts"
import { openGguf } from "./gguf.ts"
import { configFromHf } from "./hf-config.ts"
import { type HfTexts, readHfTexts } from "./hf-texts.ts"
import { openSafetensorsFolder } from "./safetensors-folder.ts"
import { readJsonFile } from "./text-file.ts"
import { validateWeights } from "./validate-weights.ts"

export interface Checkpoint {
  readonly path: string
  readonly kind: "gguf" | "safetensors"
  /** As the file says it: general.architecture, or the first of config.json's architectures (else its model_type). */
  readonly architecture: string
  readonly config: ModelConfig
  readonly weights: WeightSource
  readonly tokenizer: TokenizerSource | undefined
  readonly chatTemplate?: string
  readonly license?: string
  readonly name?: string
  /** All files holding weights. */
  readonly files: readonly string[]
  close(): void
}

export interface OpenOptions {
  /** Skip the check that every tensor the config asks for is there with the right shape (default false). */
  readonly trustConfig?: boolean
}

/**
 * @param path a .gguf file, or a folder with config.json and safetensors
 * @throws ForerunError E_MODEL_NOT_FOUND, E_MODEL_FORMAT, E_MODEL_UNSUPPORTED, E_CONFIG, E_IO
 */
export function openCheckpoint(path: string, options: OpenOptions = {}): Checkpoint {
  const checkpoint = isFolder(path) ? openFolder(path) : openGgufFile(path)
  try {
    if (options.trustConfig !== true) validateWeights(checkpoint.config, checkpoint.weights)
  } catch (thrown) {
    checkpoint.close()
    throw thrown
  }
  return checkpoint
}

function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory()
  } catch (thrown) {
    throw fileError(thrown, path)
  }
}

function openGgufFile(path: string): Checkpoint {
  const source = openFileSource(path)
  try {
    const { architecture, config, weights, metadata } = openGguf(source)
    const text = (key: string, name: "chatTemplate" | "license" | "name") => {
      const value = metadata.get(key)
      return typeof value === "string" ? { [name]: value } : {}
    }
    return {
      path,
      kind: "gguf",
      architecture,
      config,
      weights,
      tokenizer: metadata.has("tokenizer.ggml.tokens") ? { kind: "gguf", metadata } : undefined,
      ...text("tokenizer.chat_template", "chatTemplate"),
      ...text("general.license", "license"),
      ...text("general.name", "name"),
      files: [path],
      close: weights.close,
    }
  } catch (thrown) {
    source.close()
    throw thrown
  }
}

function openFolder(path: string): Checkpoint {
  const json = readJsonFile(join(path, "config.json"), configError)
  const texts: HfTexts = readHfTexts(path)
  const config = configFromHf(json, join(path, "config.json"), texts.generation)
  const listed = json.get("architectures")
  const first = Array.isArray(listed) ? listed[0] : json.get("model_type")
  if (typeof first !== "string") throw configError(`${path}: config.json names no architecture`)
  const name = json.get("_name_or_path")
  const { weights, files } = openSafetensorsFolder(path, config)
  return {
    path,
    kind: "safetensors",
    architecture: first,
    config,
    weights,
    tokenizer: texts.tokenizer,
    ...(texts.chatTemplate === undefined ? {} : { chatTemplate: texts.chatTemplate }),
    ...(texts.license === undefined ? {} : { license: texts.license }),
    ...(typeof name === "string" && name !== "" ? { name } : {}),
    files,
    close: weights.close,
  }
}

/**
 * SHA-256, in hexadecimal, over the contents of the weight files one after another; for a GGUF the file's own sum.
 * Reads in small pieces. @throws ForerunError E_IO
 */
export async function checkpointHash(checkpoint: Pick<Checkpoint, "files">): Promise<string> {
  if (checkpoint.files.length === 0) throw formatError("a checkpoint without weight files has no hash")
  const hash = createHash("sha256")
  for (const file of checkpoint.files) {
    try {
      for await (const piece of createReadStream(file, { highWaterMark: 1 << 20 })) hash.update(piece)
    } catch (thrown) {
      throw fileError(thrown, file)
    }
  }
  return hash.digest("hex")
}
