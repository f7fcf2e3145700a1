/** Finds a model and loads it into a thread of its own. */
import { ForerunError } from "../base/errors.ts"
import { weightFormats } from "../models/formats.ts"
import { findModel } from "../store/find.ts"
import { EngineClient } from "./engine-client.ts"
import { createModel, type Model } from "./model.ts"
import type { LoadModelOptions, ModelInfo } from "./types.ts"

/**
 * @param name a .gguf file, a Hugging Face folder, a name in FORERUN_MODELS or the cache, or hf:user/repo[:quant];
 *   default: SmolLM2-135M-Instruct
 * @throws ForerunError E_MODEL_NOT_FOUND, E_MODEL_FORMAT, E_MODEL_UNSUPPORTED, E_CONFIG, E_TOKENIZER, E_DOWNLOAD,
 *   E_OFFLINE, E_OPTION
 */
export async function loadModel(name?: string, options: LoadModelOptions = {}): Promise<Model> {
  const { weights, threads, device, signal, offline, onProgress } = options
  if (weights !== undefined && !weightFormats.includes(weights))
    throw new ForerunError(
      "E_OPTION",
      `weights must be one of ${weightFormats.join(", ")}; found ${JSON.stringify(weights)}`,
    )
  if (threads !== undefined && !(Number.isInteger(threads) && threads >= 1 && threads <= 256))
    throw new ForerunError("E_OPTION", `threads must be an integer from 1 to 256; found ${String(threads)}`)
  if (device !== undefined && device !== "cpu" && device !== "webgpu")
    throw new ForerunError("E_OPTION", `device must be cpu or webgpu; found ${JSON.stringify(device)}`)
  onProgress?.({ stage: "finding" })
  const { path } = await findModel(name, {
    ...(signal ? { signal } : {}),
    ...(offline === undefined ? {} : { offline }),
    onProgress: ({ file, received, total }) =>
      onProgress?.({ stage: "downloading", file, received, ...(total === undefined ? {} : { total }) }),
  })
  const client = new EngineClient()
  const plain = {
    ...(weights === undefined ? {} : { weights }),
    ...(threads === undefined ? {} : { threads }),
    ...(device === undefined ? {} : { device }),
  }
  try {
    const info = await client.call<ModelInfo>(
      { name: "load", path, options: plain },
      { ...(onProgress ? { onProgress } : {}) },
    )
    return createModel(client, info)
  } catch (thrown) {
    await client.call({ name: "dispose" }).catch(() => {})
    throw thrown
  }
}
