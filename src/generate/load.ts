/** Finds a model and loads it into a thread or a process of its own. */
import { resolve } from "node:path"
import { ForerunError } from "../base/errors.ts"
import { weightFormats } from "../models/formats.ts"
import { placementOf } from "../runtime/devices.ts"
import { findModel } from "../store/find.ts"
import { EngineClient } from "./engine-client.ts"
import { startProcess, startThread } from "./engine-link.ts"
import { LastingEngine } from "./lasting-engine.ts"
import { createModel, type Model } from "./model.ts"
import type { LoadModelOptions, ModelInfo } from "./types.ts"

/**
 * @param name a .gguf file, a Hugging Face folder, a name in FORERUN_MODELS or the cache, or hf:user/repo[:quant];
 *   default: SmolLM2-135M-Instruct
 * @throws ForerunError E_MODEL_NOT_FOUND, E_MODEL_FORMAT, E_MODEL_UNSUPPORTED, E_CONFIG, E_TOKENIZER, E_DOWNLOAD,
 *   E_OFFLINE, E_OPTION, E_DRAFT
 */
export async function loadModel(name?: string, options: LoadModelOptions = {}): Promise<Model> {
  const { weights, draft, draftWeights, part, adapter, threads, device, signal, offline, onProgress } = options
  const { cacheBytes, prefixBytes } = options
  for (const [option, format] of Object.entries({ weights, draftWeights }))
    if (format !== undefined && !weightFormats.includes(format))
      throw new ForerunError(
        "E_OPTION",
        `${option} must be one of ${weightFormats.join(", ")}; found ${JSON.stringify(format)}`,
      )
  if (draft !== undefined && typeof draft !== "string")
    throw new ForerunError("E_OPTION", `draft must be the path or name of a model; found ${typeof draft}`)
  if (part !== undefined && typeof part !== "string")
    throw new ForerunError("E_OPTION", `part must be the path of a folder; found ${typeof part}`)
  if (adapter !== undefined && typeof adapter !== "string")
    throw new ForerunError("E_OPTION", `adapter must be the path of a folder; found ${typeof adapter}`)
  if (threads !== undefined && !(Number.isInteger(threads) && threads >= 1 && threads <= 256))
    throw new ForerunError("E_OPTION", `threads must be an integer from 1 to 256; found ${String(threads)}`)
  placementOf(device)
  for (const [option, bytes] of Object.entries({ cacheBytes, prefixBytes }))
    if (bytes !== undefined && !(Number.isSafeInteger(bytes) && bytes >= 0))
      throw new ForerunError("E_OPTION", `${option} must be a number of bytes; found ${String(bytes)}`)
  const find = async (wanted: string | undefined): Promise<string> => {
    onProgress?.({ stage: "finding" })
    const { path } = await findModel(wanted, {
      ...(signal ? { signal } : {}),
      ...(offline === undefined ? {} : { offline }),
      onProgress: ({ file, received, total }) =>
        onProgress?.({ stage: "downloading", file, received, ...(total === undefined ? {} : { total }) }),
    })
    return path
  }
  const path = await find(name)
  const draftPath = draft === undefined ? undefined : await find(draft)
  const lasting = options.ownProcess ? new LastingEngine({ start: startProcess }) : undefined
  const client = lasting ?? new EngineClient(startThread)
  const plain = {
    ...(weights === undefined ? {} : { weights }),
    ...(draftPath === undefined ? {} : { draft: draftPath }),
    ...(draftWeights === undefined ? {} : { draftWeights }),
    ...(part === undefined ? {} : { part: resolve(part) }),
    ...(adapter === undefined ? {} : { adapter: resolve(adapter) }),
    ...(threads === undefined ? {} : { threads }),
    ...(device === undefined ? {} : { device }),
    ...(cacheBytes === undefined ? {} : { cacheBytes }),
    ...(prefixBytes === undefined ? {} : { prefixBytes }),
  }
  try {
    const info = await client.call<ModelInfo>(
      { name: "load", path, options: plain },
      { ...(onProgress ? { onProgress } : {}) },
    )
    return createModel(client, info, () => lasting?.state ?? { isReady: true, restarts: 0 })
  } catch (thrown) {
    await client.call({ name: "dispose" }).catch(() => {})
    throw thrown
  }
}
